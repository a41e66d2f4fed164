#include "io/markup.h"
#include "pipeline/compare.h"

namespace longhand {
namespace {

std::string figure(const char* label, const std::string& path, const std::string& text) {
  return fmt::format(
      "      <figure><a href=\"{0}\"><img src=\"{0}\" alt=\"{1}\" "
      "loading=\"lazy\"></a><figcaption><b>{2}</b>{1}</figcaption></figure>\n",
      escaped(path), escaped(text), label);
}

std::string article(const GalleryRow& row) {
  const std::string lost =
      row.lost.empty() ? ""
                       : fmt::format(" · <span class=\"lost\">lost: {}</span>", escaped(row.lost));
  return fmt::format(
      "  <article>\n    <div class=\"pair\">\n{}{}    </div>\n    <footer>{}seed {} · {} tokens · "
      "lengthened in {:.2f} s, "
      "painted in {:.2f} s{}</footer>\n  </article>\n",
      figure("As typed", row.as_typed, row.prompt),
      figure("Lengthened", row.lengthened, row.caption),
      row.category.empty() ? "" : escaped(row.category) + " · ", escaped(row.seed), row.tokens,
      row.upsample_seconds, row.paint_seconds, lost);
}

std::string header(const GalleryHead& head, const std::vector<GalleryRow>& rows) {
  double lengthening = 0, painting = 0;
  for (const GalleryRow& row : rows) {
    lengthening += row.upsample_seconds;
    painting += row.paint_seconds;
  }
  std::string html = fmt::format(
      "  <p>{} prompts, each painted twice from the same noise: as it was typed, and as {} "
      "lengthened it (template {}). "
      "Painted by {}: {}. Lengthening took {:.1f} s in all, painting {:.1f} s.</p>\n",
      rows.size(), escaped(head.llm), escaped(head.prompt_template), escaped(head.model),
      escaped(head.settings), lengthening, painting);
  if (!head.about.empty()) {
    html += fmt::format("  <p>{}</p>\n", escaped(head.about));
  }
  return html;
}

}  // namespace

std::string gallery_html(const GalleryHead& head, const std::vector<GalleryRow>& rows) {
  std::string articles;
  for (const GalleryRow& row : rows) {
    articles += article(row);
  }
  return filled_page("gallery.html", {{"head", header(head, rows)}, {"rows", articles}});
}

}  // namespace longhand
