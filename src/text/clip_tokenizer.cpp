#include "text/clip_tokenizer.h"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/uniset.h>
#include <unicode/unistr.h>
#include <unicode/utf8.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <limits>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

#include "core/error.h"

namespace longhand {
namespace {

constexpr int byte_symbols = 256;
constexpr std::size_t cached_words = 1 << 16;
constexpr std::string_view end_of_word = "</w>";
constexpr std::string_view start_mark = "<|startoftext|>";
constexpr std::string_view end_mark = "<|endoftext|>";

struct CodeRange {
  UChar32 first, last;
};
struct CodePair {
  UChar32 from, to;
};
#include "text/unicode_additions.inc"

UChar32 lower_case(UChar32 point) {
  const auto* pair = std::ranges::find(added_lower_cases, point, &CodePair::from);
  return pair == std::end(added_lower_cases) ? u_tolower(point) : pair->to;
}

bool in(std::span<const CodeRange> ranges, UChar32 point) {
  return std::ranges::any_of(
      ranges, [point](const CodeRange& r) { return point >= r.first && point <= r.last; });
}

bool is_letter(UChar32 point) {
  return (U_GET_GC_MASK(point) & U_GC_L_MASK) != 0 || in(added_letters, point);
}

bool is_number(UChar32 point) {
  return (U_GET_GC_MASK(point) & U_GC_N_MASK) != 0 || in(added_numbers, point);
}

std::string utf8(UChar32 point) {
  std::string text;
  icu::UnicodeString(point).toUTF8String(text);
  return text;
}

/// Bytes in the order of their ids: printable Latin-1 first, then the rest (bytes_to_unicode of
/// OpenAI's simple_tokenizer). The rest are written as U+0100 and up.
struct ByteAlphabet {
  std::array<int, 256> id{};
  std::array<UChar32, 256> point{};

  ByteAlphabet() {
    int next = 0;
    const auto printable = [](int b) {
      return (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
    };
    for (int b = 0; b < 256; ++b) {
      if (printable(b)) {
        id[static_cast<std::size_t>(b)] = next++;
        point[static_cast<std::size_t>(b)] = b;
      }
    }
    for (int b = 0, extra = 0; b < 256; ++b) {
      if (!printable(b)) {
        id[static_cast<std::size_t>(b)] = next++;
        point[static_cast<std::size_t>(b)] = 256 + extra++;
      }
    }
  }
};

std::string gunzip(const fs::path& path) {
  const gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr) {
    fail(Kind::not_found, "{} cannot be opened; it is part of the project's data/ folder",
         path.string());
  }
  std::string text;
  std::array<char, 1 << 16> buffer{};
  int got = 0;
  while ((got = gzread(file, buffer.data(), static_cast<unsigned>(buffer.size()))) > 0 &&
         text.size() < (64 << 20)) {
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  gzclose(file);
  if (got < 0) {
    fail(Kind::corrupt, "{} is not a whole gzip file", path.string());
  }
  return text;
}

/// How many merges a vocabulary of so many tokens has.
int merges_within(int tokens) {
  constexpr int least = 2 * byte_symbols + 2;
  if (tokens < least || tokens > ClipTokenizer::vocabulary_size) {
    fail(Kind::corrupt,
         "a vocabulary of {} tokens cannot be a part of CLIP's, which has {} and at least {}",
         tokens, ClipTokenizer::vocabulary_size, least);
  }
  return tokens - least;
}

fs::path own_copy() { return home() / "data" / "tokenizers" / "bpe_simple_vocab_16e6.txt.gz"; }

/// NFC as Unicode 13 has it: the reference's normalizer knows no later marks and leaves them in
/// place.
icu::UnicodeString composed_form(const icu::UnicodeString& text) {
  UErrorCode status = U_ZERO_ERROR;
  static const icu::UnicodeSet known(icu::UnicodeString("[:Age=13.0:]"), status);
  const icu::Normalizer2* nfc = icu::Normalizer2::getNFCInstance(status);
  if (U_FAILURE(status)) {
    fail(Kind::internal, "ICU does not start: {}", u_errorName(status));
  }
  const icu::FilteredNormalizer2 filtered(*nfc, known);
  const icu::UnicodeString composed =
      static_cast<const icu::Normalizer2&>(filtered).normalize(text, status);
  if (U_FAILURE(status)) {
    fail(Kind::internal, "ICU cannot normalize text: {}", u_errorName(status));
  }
  return composed;
}

/// NFC, white space to single spaces, each code point lower-cased by itself: transformers'
/// normalizer.
std::vector<UChar32> normalized(std::string_view text) {
  std::int32_t at = 0;
  const auto length = static_cast<std::int32_t>(text.size());
  while (at < length) {
    UChar32 point = 0;
    const std::int32_t start = at;
    U8_NEXT(text.data(), at, length, point);
    if (point < 0) {
      fail(Kind::invalid_argument, "the text is not UTF-8: byte {} ({:#04x}) does not fit", start,
           static_cast<unsigned>(static_cast<std::uint8_t>(text[static_cast<std::size_t>(start)])));
    }
  }
  const icu::UnicodeString composed =
      composed_form(icu::UnicodeString::fromUTF8(icu::StringPiece(text.data(), length)));
  std::vector<UChar32> points;
  points.reserve(static_cast<std::size_t>(composed.length()));
  for (std::int32_t i = 0; i < composed.length(); i = composed.moveIndex32(i, 1)) {
    const UChar32 point = composed.char32At(i);
    if (u_isUWhiteSpace(point) != 0) {
      if (points.empty() || points.back() != ' ') {
        points.push_back(' ');
      }
    } else if (point == 0x130) {  // the one whose lower case is two code points
      points.push_back('i');
      points.push_back(0x307);
    } else {
      points.push_back(point < 128 ? u_tolower(point) : lower_case(point));
    }
  }
  return points;
}

/// Length of 's 't 're 've 'm 'll 'd at a place, or 0.
std::size_t contraction(const std::vector<UChar32>& points, std::size_t at) {
  static constexpr std::array<std::string_view, 7> endings = {"s", "t", "re", "ve", "m", "ll", "d"};
  if (points[at] != '\'') {
    return 0;
  }
  for (const std::string_view ending : endings) {
    std::size_t i = 0;
    while (i < ending.size() && at + 1 + i < points.size() && points[at + 1 + i] == ending[i]) {
      ++i;
    }
    if (i == ending.size()) {
      return i + 1;
    }
  }
  return 0;
}

/// The end of the word that begins at a place that is not a space (CLIP's split pattern).
std::size_t word_end(const std::vector<UChar32>& points, std::size_t at) {
  if (const std::size_t length = contraction(points, at); length > 0) {
    return at + length;
  }
  if (is_number(points[at])) {
    return at + 1;
  }
  const auto same = is_letter(points[at]) ? [](UChar32 p) { return is_letter(p); } : [](UChar32 p) {
    return p != ' ' && !is_letter(p) && !is_number(p);
  };
  std::size_t end = at;
  while (end < points.size() && same(points[end])) {
    ++end;
  }
  return end;
}

}  // namespace

struct ClipTokenizer::Tables {
  ByteAlphabet alphabet;
  std::vector<std::string> symbols;               // id → text, with </w>
  std::unordered_map<std::uint64_t, int> merges;  // pair of ids → id of the merged symbol
  mutable std::shared_mutex mutex;
  mutable std::unordered_map<std::string, std::vector<int>> words;

  static std::uint64_t key(int left, int right) {
    return static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint32_t>(right);
  }

  /// Byte-pair encoding: merges the pair of lowest id (earliest learned) until none is left.
  std::vector<int> merge(const std::string& word) const {
    std::vector<int> ids;
    for (const char c : word) {
      ids.push_back(alphabet.id[static_cast<std::uint8_t>(c)]);
    }
    ids.back() += byte_symbols;
    while (ids.size() > 1) {
      int best = std::numeric_limits<int>::max();
      for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
        const auto found = merges.find(key(ids[i], ids[i + 1]));
        best = found == merges.end() ? best : std::min(best, found->second);
      }
      if (best == std::numeric_limits<int>::max()) {
        break;
      }
      std::size_t kept = 0;
      for (std::size_t i = 0; i < ids.size(); ++i) {
        const bool joins = i + 1 < ids.size() && [&] {
          const auto found = merges.find(key(ids[i], ids[i + 1]));
          return found != merges.end() && found->second == best;
        }();
        ids[kept++] = joins ? best : ids[i];
        i += joins ? 1 : 0;
      }
      ids.resize(kept);
    }
    return ids;
  }

  void append_word(const std::string& word, std::vector<int>& ids) const {
    {
      const std::shared_lock lock(mutex);
      if (const auto found = words.find(word); found != words.end()) {
        ids.insert(ids.end(), found->second.begin(), found->second.end());
        return;
      }
    }
    const std::vector<int> merged = merge(word);
    ids.insert(ids.end(), merged.begin(), merged.end());
    const std::unique_lock lock(mutex);
    if (words.size() < cached_words && word.size() < 64) {
      words.emplace(word, merged);
    }
  }

  void append_plain(std::string_view text, std::vector<int>& ids) const {
    const std::vector<UChar32> points = normalized(text);
    for (std::size_t at = 0; at < points.size();) {
      if (points[at] == ' ') {
        ++at;
        continue;
      }
      const std::size_t end = word_end(points, at);
      std::string word;
      for (; at < end; ++at) {
        word += utf8(points[at]);
      }
      append_word(word, ids);
    }
  }
};

ClipTokenizer::ClipTokenizer(std::string_view merges, int merge_count, const fs::path& where)
    : start_(2 * byte_symbols + merge_count) {
  auto tables = std::make_unique<Tables>();
  tables->symbols.resize(static_cast<std::size_t>(start_));
  std::unordered_map<std::string, int> ids;
  for (std::size_t b = 0; b < 256; ++b) {
    const int id = tables->alphabet.id[b];
    const std::string symbol = utf8(tables->alphabet.point[b]);
    tables->symbols[static_cast<std::size_t>(id)] = symbol;
    tables->symbols[static_cast<std::size_t>(id + byte_symbols)] =
        symbol + std::string(end_of_word);
  }
  for (int id = 0; id < 2 * byte_symbols; ++id) {
    ids.emplace(tables->symbols[static_cast<std::size_t>(id)], id);
  }
  std::size_t at = merges.find('\n') + 1;  // the first line is a version
  for (int i = 0; i < merge_count; ++i) {
    const std::size_t end = merges.find('\n', at);
    const std::size_t space = merges.find(' ', at);
    if (end == std::string::npos || space == std::string::npos || space > end) {
      fail(Kind::corrupt, "{}: line {} is not a merge of two symbols", where.string(), i + 2);
    }
    const std::string left(merges.substr(at, space - at));
    const std::string right(merges.substr(space + 1, end - space - 1));
    const auto l = ids.find(left), r = ids.find(right);
    if (l == ids.end() || r == ids.end()) {
      fail(Kind::corrupt, "{}: line {} merges a symbol that no line before it made", where.string(),
           i + 2);
    }
    const int id = 2 * byte_symbols + i;
    tables->merges.emplace(Tables::key(l->second, r->second), id);
    tables->symbols[static_cast<std::size_t>(id)] = left + right;
    ids.emplace(left + right, id);
    at = end + 1;
  }
  tables_ = std::move(tables);
}

ClipTokenizer::ClipTokenizer(const fs::path& vocabulary, int tokens)
    : ClipTokenizer(gunzip(vocabulary), merges_within(tokens), vocabulary) {}

std::unique_ptr<const ClipTokenizer> ClipTokenizer::of_folder(const fs::path& folder) {
  const fs::path file = folder / "merges.txt";
  std::string merges = read_file(file);
  if (!merges.empty() && !merges.ends_with('\n')) {
    merges += '\n';
  }
  const auto lines = std::ranges::count(merges, '\n');
  const auto tokens = std::min<std::ptrdiff_t>(lines, vocabulary_size) - 1 + 2 * byte_symbols + 2;
  return std::unique_ptr<const ClipTokenizer>(
      new ClipTokenizer(merges, merges_within(static_cast<int>(tokens)), file));
}

ClipTokenizer::~ClipTokenizer() = default;

std::shared_ptr<const ClipTokenizer> ClipTokenizer::shared() {
  static const auto tokenizer = std::make_shared<const ClipTokenizer>(own_copy());
  return tokenizer;
}

std::unique_ptr<const ClipTokenizer> ClipTokenizer::beginning(int tokens) {
  return std::make_unique<const ClipTokenizer>(own_copy(), tokens);
}

std::vector<int> ClipTokenizer::encode(std::string_view text) const {
  std::vector<int> ids;
  while (!text.empty()) {  // the marks are found in the text as it is, before it is normalized
    const std::size_t start = text.find(start_mark), end = text.find(end_mark);
    const std::size_t mark = std::min(start, end);
    tables_->append_plain(text.substr(0, mark), ids);
    if (mark == std::string_view::npos) {
      break;
    }
    ids.push_back(mark == start ? this->start() : this->end());
    text.remove_prefix(mark + (mark == start ? start_mark.size() : end_mark.size()));
  }
  return ids;
}

int ClipTokenizer::count(std::string_view text) const {
  return static_cast<int>(encode(text).size()) + 2;
}

std::string ClipTokenizer::decode(std::span<const int> ids) const {
  static const auto bytes = [] {
    std::unordered_map<UChar32, char> map;
    const ByteAlphabet alphabet;
    for (std::size_t b = 0; b < 256; ++b) {
      map.emplace(alphabet.point[b], static_cast<char>(b));
    }
    return map;
  }();
  std::string text;
  for (const int id : ids) {
    if (id < 0 || id >= start_) {
      continue;
    }
    std::string_view symbol = tables_->symbols[static_cast<std::size_t>(id)];
    const bool last = symbol.ends_with(end_of_word);
    symbol.remove_suffix(last ? end_of_word.size() : 0);
    const auto points = icu::UnicodeString::fromUTF8(
        icu::StringPiece(symbol.data(), static_cast<int>(symbol.size())));
    for (std::int32_t i = 0; i < points.length(); i = points.moveIndex32(i, 1)) {
      text += bytes.at(points.char32At(i));
    }
    text += last ? " " : "";
  }
  while (text.ends_with(' ')) {
    text.pop_back();
  }
  std::string whole;  // tokens may break off within a character: U+FFFD, as transformers has it
  return icu::UnicodeString::fromUTF8(text).toUTF8String(whole);
}

std::vector<int> ClipTokenizer::encode_padded(std::string_view text, int length, int pad) const {
  std::vector<int> ids = encode(text);
  ids.resize(std::min(ids.size(), static_cast<std::size_t>(std::max(0, length - 2))));
  ids.insert(ids.begin(), start());
  ids.push_back(end());
  ids.resize(static_cast<std::size_t>(length), pad);
  return ids;
}

}  // namespace longhand
