// CLIP's byte-pair tokenizer: the same ids as transformers' CLIPTokenizer on any Unicode string.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/files.h"

namespace longhand {

class ClipTokenizer {
 public:
  static constexpr int start_of_text = 49406;
  static constexpr int end_of_text = 49407;
  static constexpr int vocabulary_size = 49408;

  /// From OpenAI's bpe_simple_vocab_16e6.txt.gz, or its beginning: with so many tokens, which keep
  /// their ids but for the two marks, the last ones; words beyond it are of more tokens. Throws
  /// not_found, corrupt.
  explicit ClipTokenizer(const fs::path& vocabulary, int tokens = vocabulary_size);
  /// Some of CLIP's merges in their order, one a line of a tokenizer's merges.txt behind a first
  /// line, as transformers writes it: a model's own vocabulary. Throws not_found, corrupt.
  static std::unique_ptr<const ClipTokenizer> of_folder(const fs::path& folder);
  /// The project's own copy, read once and shared.
  static std::shared_ptr<const ClipTokenizer> shared();
  /// The beginning of that copy.
  static std::unique_ptr<const ClipTokenizer> beginning(int tokens);
  ~ClipTokenizer();

  /// Ids without the two marks, no limit of length. Throws invalid_argument where text is not
  /// UTF-8.
  std::vector<int> encode(std::string_view text) const;
  /// How many tokens with the two marks: what must be at most 77. Re-entrant; thread-safe.
  int count(std::string_view text) const;
  /// Lower-cased text of the ids, words separated by spaces; always UTF-8.
  std::string decode(std::span<const int> ids) const;
  /// [start] + ids + [end], cut to and padded with `pad` up to `length` ([length] ids).
  std::vector<int> encode_padded(std::string_view text, int length, int pad) const;
  int start() const { return start_; }
  int end() const { return start_ + 1; }
  /// Tokens in all, the two marks among them.
  int size() const { return start_ + 2; }

 private:
  /// `merges`: a line that is passed over, and so many merges.
  ClipTokenizer(std::string_view merges, int merge_count, const fs::path& where);

  struct Tables;
  std::unique_ptr<const Tables> tables_;
  int start_;
};

}  // namespace longhand
