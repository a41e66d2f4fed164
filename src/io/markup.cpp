#include "io/markup.h"

#include "core/error.h"
#include "core/files.h"

namespace longhand {

std::string escaped(const std::string& text) {
  std::string html;
  for (const char c : text) {
    switch (c) {
      case '&':
        html += "&amp;";
        break;
      case '<':
        html += "&lt;";
        break;
      case '>':
        html += "&gt;";
        break;
      case '"':
        html += "&quot;";
        break;
      default:
        html += c;
    }
  }
  return html;
}

std::string filled_page(const std::string& name,
                        const std::vector<std::pair<std::string, std::string>>& places) {
  const fs::path path = home() / "web" / name;
  std::string page = read_file(path);
  for (const auto& [place, html] : places) {
    const std::string mark = "{{" + place + "}}";
    const auto at = page.find(mark);
    if (at == std::string::npos) {
      fail(Kind::internal, "{} has no place {}", path.string(), mark);
    }
    page.replace(at, mark.size(), html);
  }
  return page;
}

}  // namespace longhand
