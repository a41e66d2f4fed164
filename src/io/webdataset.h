// WebDataset: tar files in which the members of one key are a sample, KEY.txt, KEY.json, KEY.png;
// read and written as streams.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/files.h"
#include "io/table.h"
#include "io/tar.h"

namespace longhand {

/// A tar file's samples: members that follow one another with one key.
class SampleReader {
 public:
  struct Sample {
    std::string key;
    std::vector<std::pair<std::string, std::string>> members;  // ending, bytes
  };

  /// `text_only`: members that are no text are passed over. Throws not_found, corrupt.
  SampleReader(const fs::path& path, bool text_only);
  /// Throws corrupt for a broken sample, and then goes on with the one after it, if the file does.
  std::optional<Sample> next();

 private:
  std::optional<Sample> whole_sample();
  void pass_over_sample();

  TarReader tar_;
  bool text_only_;
  std::optional<TarReader::Member> ahead_;  // not yet taken into a sample
};

/// The key of a sample by its number, as this program writes it.
std::string sample_key(std::int64_t number);

/// Samples as rows of text. Columns, as the first sample has them: "__key__", its members of text
/// by their endings (txt, text, caption, cls), and the keys of its .json; other members are passed
/// over. A broken sample throws corrupt with its key; next() goes on with the one after it.
std::unique_ptr<RowReader> open_webdataset(const fs::path& path);

/// The rows of a journal (.jsonl) as samples, numbered keys: KEY.json has all columns, KEY.txt the
/// cell of `text_column` if there is one, KEY.png the picture of the first column of pictures (of
/// others KEY.COLUMN.png). Readers see the old file or the new one. Throws unavailable, not_found
/// for a picture.
void write_webdataset(const fs::path& path, const fs::path& journal,
                      const std::vector<Column>& columns, const std::string& text_column);

/// Writes the journal of what write_webdataset() wrote, whole or not at all. Throws
/// invalid_argument where a sample's .json has other columns.
void restore_journal_from_webdataset(const fs::path& journal, const fs::path& path,
                                     const std::vector<Column>& columns);

}  // namespace longhand
