#include "text/fidelity.h"

#include <libstemmer.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <memory>
#include <set>

#include "core/error.h"

namespace longhand {
namespace {

using Words = std::vector<std::string>;
using Phrases = std::vector<std::string>;  // of lower-case words

const std::set<std::string>& stop_words() {
  static const std::set<std::string> words = {
      "a",      "an",   "the",    "of",         "and",     "or",        "in",      "on",
      "at",     "to",   "is",     "are",        "was",     "were",      "be",      "been",
      "being",  "it",   "its",    "this",       "that",    "these",     "those",   "with",
      "by",     "for",  "from",   "as",         "there",   "his",       "her",     "their",
      "which",  "who",  "into",   "so",         "but",     "not",       "no",      "can",
      "you",    "your", "one",    "other",      "has",     "have",      "had",     "do",
      "does",   "he",   "she",    "they",       "them",    "we",        "i",       "my",
      "me",     "when", "where",  "while",      "than",    "then",      "very",    "also",
      "each",   "both", "only",   "up",         "down",    "over",      "out",     "off",
      "all",    "some", "s",      "t",          "colored", "coloured",  "color",   "colour",
      "saying", "says", "say",    "written",    "being",   "typically", "such",    "left",
      "right",  "top",  "under",  "underneath", "below",   "above",     "beneath", "behind",
      "front",  "next", "beside", "inside",     "between"};
  return words;
}

const std::map<std::string, std::string>& number_words() {
  static const std::map<std::string, std::string> words = {
      {"one", "1"},   {"single", "1"}, {"two", "2"},  {"pair", "2"}, {"couple", "2"},
      {"three", "3"}, {"four", "4"},   {"five", "5"}, {"six", "6"},  {"seven", "7"},
      {"eight", "8"}, {"nine", "9"},   {"ten", "10"}};
  return words;
}

const std::set<std::string>& colours() {
  static const std::set<std::string> words = {"red",  "orange", "yellow", "green", "blue", "purple",
                                              "pink", "brown",  "black",  "white", "gray", "grey"};
  return words;
}

/// Phrases that say the same relation.
const std::vector<std::pair<std::string, Phrases>>& relations() {
  static const std::vector<std::pair<std::string, Phrases>> classes = {
      {"left of", {"left of", "left side of", "to the left", "on the left"}},
      {"right of", {"right of", "right side of", "to the right", "on the right"}},
      {"on top of", {"on top of", "atop", "on the top of"}},
      {"under", {"underneath", "under", "beneath", "below"}},
      {"above", {"above", "over"}},
      {"behind", {"behind"}},
      {"in front of", {"in front of"}},
      {"next to", {"next to", "beside", "alongside", "side by side"}},
      {"inside", {"inside", "within"}},
      {"between", {"between"}}};
  return classes;
}

/// How pictures are made, in families of ways that rule each other out, each way with its names.
const std::vector<std::vector<Phrases>>& ways_of_drawing() {
  static const std::vector<std::vector<Phrases>> families = {
      {{"photo", "photograph", "photography", "photorealistic"},
       {"oil painting", "oil on canvas", "painted in oil"},
       {"watercolor", "watercolour", "watercolors", "watercolours"},
       {"pencil sketch", "pencil drawing", "drawn in pencil"},
       {"3d", "computer generated"},
       {"pixel art"}},
      {{"flat style", "flat colors", "flat colours", "flat design"},
       {"bold outlines", "bold outline", "thick outlines"},
       {"softly shaded", "soft shading"}}};
  return families;
}

std::string stem(const std::string& word) {
  static const std::map<std::string, std::string> irregular = {
      {"mice", "mouse"},   {"men", "man"},     {"women", "woman"},    {"people", "person"},
      {"feet", "foot"},    {"teeth", "tooth"}, {"children", "child"}, {"sat", "sit"},
      {"stood", "stand"},  {"ate", "eat"},     {"eaten", "eat"},      {"made", "make"},
      {"ridden", "ride"},  {"rode", "ride"},   {"grey", "gray"},      {"leaves", "leaf"},
      {"knives", "knife"}, {"held", "hold"},   {"wore", "wear"},      {"worn", "wear"}};
  const auto found = irregular.find(word);
  const std::string& base = found == irregular.end() ? word : found->second;
  using Stemmer = std::unique_ptr<sb_stemmer, decltype(&sb_stemmer_delete)>;
  thread_local const Stemmer stemmer(sb_stemmer_new("english", nullptr), &sb_stemmer_delete);
  const sb_symbol* result =
      sb_stemmer_stem(stemmer.get(), reinterpret_cast<const sb_symbol*>(base.data()),
                      static_cast<int>(base.size()));
  return {reinterpret_cast<const char*>(result),
          static_cast<std::size_t>(sb_stemmer_length(stemmer.get()))};
}

bool is_word_byte(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || (c & 0x80) != 0;
}

/// Bytes of a typographic mark that `text` begins with: U+2010 to U+2027 (dashes, quotation marks,
/// the ellipsis), « and »; 0 for what is none.
std::size_t mark_length(std::string_view text) {
  if (text.starts_with("\xC2\xAB") || text.starts_with("\xC2\xBB")) {
    return 2;
  }
  const bool general =
      text.size() >= 3 && text.starts_with("\xE2\x80") && text[2] >= '\x90' && text[2] <= '\xA7';
  return general ? 3 : 0;
}

/// Lower-case words; letters beyond ASCII belong to words; ends of sentences and commas become ".".
Words words_of(std::string_view text) {
  Words words;
  std::string word;
  const auto flush = [&] {
    if (!word.empty()) {
      words.push_back(word);
      word.clear();
    }
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (const std::size_t mark = mark_length(text.substr(i)); mark > 0) {
      const std::string_view own = text.substr(i, mark);
      if (own != "‘" && own != "’") {
        flush();
      }
      i += mark - 1;
      continue;
    }
    const char c = text[i];
    if (is_word_byte(c)) {
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (c != '\'') {
      flush();
      if (c == '.' || c == ',' || c == ';' || c == '!' || c == '?') {
        words.emplace_back(".");
      }
    }
  }
  flush();
  return words;
}

/// Texts in quotation marks: "…", “…”, ‘…’ and '…' where the marks are not apostrophes. Parts of
/// `text`.
std::vector<std::string_view> quotes_of(std::string_view text) {
  std::vector<std::string_view> found;
  const auto take = [&](std::string_view open, std::string_view close, bool plain) {
    std::size_t at = 0;
    while ((at = text.find(open, at)) != std::string_view::npos) {
      const std::size_t start = at + open.size();
      std::size_t end = text.find(close, start);
      if (plain && at > 0 && is_word_byte(text[at - 1])) {
        at = start;
        continue;
      }
      while (plain && end != std::string_view::npos && end + 1 < text.size() &&
             is_word_byte(text[end + 1])) {
        end = text.find(close, end + 1);
      }
      if (end == std::string_view::npos) {
        return;
      }
      if (end > start) {
        found.push_back(text.substr(start, end - start));
      }
      at = end + close.size();
    }
  };
  take("\"", "\"", false);
  take("“", "”", false);
  take("‘", "’", false);
  take("'", "'", true);
  return found;
}

std::string normal_number(const std::string& word) {
  const auto found = number_words().find(word);
  if (found != number_words().end()) {
    return found->second;
  }
  const bool digits = !word.empty() && word.size() < 6 &&
                      std::ranges::all_of(word, [](unsigned char c) { return std::isdigit(c); });
  return digits ? word : "";
}

bool is_content(const std::string& word) {
  return word != "." && !stop_words().contains(word) && normal_number(word).empty();
}

/// The noun that a number or colour at `at` belongs to: the last content word of the run after it,
/// short of a stop word, number or colour ("two small dogs" → "dogs").
std::string noun_after(const Words& words, std::size_t at) {
  std::string noun;
  for (std::size_t i = at + 1; i < words.size() && i <= at + 4; ++i) {
    const std::string& word = words[i];
    if (word == "colored" || word == "coloured" || word == "of" || colours().contains(word)) {
      if (noun.empty()) {
        continue;
      }
      break;
    }
    if (!is_content(word)) {
      break;
    }
    noun = word;
    if (word.ends_with("ing")) {
      break;
    }
  }
  return noun;
}

bool has_phrase(const std::string& padded, const std::string& phrase) {
  return padded.find(" " + phrase + " ") != std::string::npos;
}

bool has_any(const std::string& padded, const Phrases& phrases) {
  return std::ranges::any_of(phrases,
                             [&](const std::string& phrase) { return has_phrase(padded, phrase); });
}

std::string joined(const Words& words) {
  std::string text = " ";
  for (const std::string& word : words) {
    text += word + " ";
  }
  return text;
}

/// True where `value` (a number or colour) stands at most four words before the noun, in one
/// clause.
bool holds_before(const Words& words, const Words& stems, const std::string& value,
                  const std::string& noun) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string number = normal_number(words[i]);
    const bool one = value == "1" && (words[i] == "a" || words[i] == "an");
    if (stem(words[i]) != value && number != value && !one) {
      continue;
    }
    for (std::size_t j = i + 1; j < words.size() && j <= i + 4 && words[j] != "."; ++j) {
      if (stems[j] == noun) {
        return true;
      }
    }
  }
  return false;
}

/// "the car is red": a colour after its noun and a form of to be, in one clause.
bool holds_after(const Words& words, const Words& stems, const std::string& colour,
                 const std::string& noun) {
  for (std::size_t i = 0; i + 2 < words.size(); ++i) {
    if (stems[i] == noun && (words[i + 1] == "is" || words[i + 1] == "are") &&
        stems[i + 2] == colour) {
      return true;
    }
  }
  return false;
}

/// Numbers and colours that the caption gives to a noun of the prompt's, beside those that the
/// prompt gives it: "red apple" or "the apple is red" where a green one was asked for.
std::vector<std::string> contradictions_of(const std::vector<Demand>& demands, const Words& words,
                                           const Words& stems) {
  std::map<std::pair<Demand::Kind, std::string>, std::set<std::string>> asked;  // values by noun
  for (const Demand& demand : demands) {
    if (demand.kind == Demand::Kind::number || demand.kind == Demand::Kind::colour) {
      asked[{demand.kind, demand.stems[1]}].insert(demand.stems[0]);
    }
  }
  std::set<std::string> found;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool colour = colours().contains(words[i]);
    const std::string value = colour ? stems[i] : normal_number(words[i]);
    if (value.empty()) {
      continue;
    }
    const auto against = [&](std::size_t noun) {
      const auto values =
          asked.find({colour ? Demand::Kind::colour : Demand::Kind::number, stems[noun]});
      if (values != asked.end() && !values->second.contains(value)) {
        found.insert(words[i] + " " + words[noun]);
      }
    };
    if (i + 1 < words.size()) {
      against(i + 1);
    }
    if (colour && i > 1 && (words[i - 1] == "is" || words[i - 1] == "are")) {
      against(i - 2);
    }
  }
  return {found.begin(), found.end()};
}

/// The sides on which "A to the left of B" and "A on the right side of B" put the two; "A above B"
/// puts both on neither.
std::map<std::string, std::string> sides_of(const Words& words) {
  static const std::map<std::string, std::pair<const char*, const char*>> pairs = {
      {"left", {"left", "right"}},
      {"right", {"right", "left"}},
      {"above", {"neither", "neither"}},
      {"below", {"neither", "neither"}}};
  std::map<std::string, std::string> sides;
  for (std::size_t i = 1; i + 1 < words.size(); ++i) {
    const auto pair = pairs.find(words[i]);
    if (pair == pairs.end()) {
      continue;
    }
    std::size_t last = i;  // of the relation's words
    if (pair->first == "left" || pair->first == "right") {
      last = words[i + 1] == "side" ? i + 2 : i + 1;
      if (last >= words.size() || words[last] != "of") {
        continue;
      }
    }
    std::size_t before = i;
    while (before > 0 && !is_content(words[before - 1]) && words[before - 1] != ".") {
      --before;
    }
    const bool article = last + 1 < words.size() && !is_content(words[last + 1]);
    const std::string second = noun_after(words, article ? last + 1 : last);
    if (before > 0 && is_content(words[before - 1]) && !second.empty()) {
      sides[stem(words[before - 1])] = pair->second.first;
      sides[stem(second)] = pair->second.second;
    }
  }
  return sides;
}

/// "the cat is on the left" where `sides` have it right.
std::vector<std::string> on_the_wrong_side(const std::map<std::string, std::string>& sides,
                                           const Words& words, const Words& stems) {
  std::vector<std::string> found;
  for (std::size_t i = 3; !sides.empty() && i < words.size(); ++i) {
    const bool side = (words[i] == "left" || words[i] == "right") && words[i - 1] == "the" &&
                      (words[i - 2] == "on" || words[i - 2] == "to");
    if (!side || (i + 1 < words.size() && (words[i + 1] == "of" || words[i + 1] == "side"))) {
      continue;
    }
    for (std::size_t j = i - 3; words[j] != "." && words[j] != "and"; --j) {
      if (const auto asked = sides.find(stems[j]); asked != sides.end()) {
        if (asked->second != words[i]) {
          found.push_back(words[j] + " on the " + words[i]);
        }
        break;
      }
      if (j == 0) {
        break;
      }
    }
  }
  return found;
}

/// "the cat is a dog" where the prompt asks for both and does not say so itself.
std::vector<std::string> said_to_be_another(const std::vector<Demand>& demands,
                                            const std::string& prompt, const Words& words,
                                            const Words& stems) {
  const auto asked = [&](const std::string& stem) {
    return std::ranges::any_of(demands, [&](const Demand& demand) {
      return demand.kind == Demand::Kind::word && demand.stems[0] == stem;
    });
  };
  std::set<std::string> found;
  for (std::size_t i = 0; i + 3 < words.size(); ++i) {
    const bool is = words[i + 1] == "is" || words[i + 1] == "are";
    const bool article = words[i + 2] == "a" || words[i + 2] == "an" || words[i + 2] == "the";
    if (is && article && stems[i] != stems[i + 3] && asked(stems[i]) && asked(stems[i + 3]) &&
        !has_phrase(prompt, words[i] + " " + words[i + 1] + " " + words[i + 2])) {
      found.insert(words[i] + " is " + words[i + 3]);
    }
  }
  return {found.begin(), found.end()};
}

/// "flat style" where the prompt asks for bold outlines.
std::vector<std::string> drawn_otherwise(const std::string& prompt, const std::string& caption) {
  std::vector<std::string> found;
  for (const std::vector<Phrases>& family : ways_of_drawing()) {
    const auto asked = [&](const Phrases& way) { return has_any(prompt, way); };
    if (std::ranges::none_of(family, asked)) {
      continue;
    }
    for (const Phrases& way : family) {
      if (!asked(way) && has_any(caption, way)) {
        found.push_back(way.front());
      }
    }
  }
  return found;
}

/// A caption, prepared to be matched.
struct PreparedCaption {
  explicit PreparedCaption(std::string_view caption)
      : text(caption), words(words_of(caption)), padded(joined(words)) {
    std::ranges::transform(words, std::back_inserter(stems), stem);
  }
  std::string_view text;
  Words words;
  std::string padded;  // the words with spaces around
  Words stems;
};

bool keeps(const PreparedCaption& read, const Demand& demand) {
  switch (demand.kind) {
    case Demand::Kind::quote:
      return read.text.find(demand.text) != std::string_view::npos;
    case Demand::Kind::number:
    case Demand::Kind::colour:
      return holds_before(read.words, read.stems, demand.stems[0], demand.stems[1]) ||
             holds_after(read.words, read.stems, demand.stems[0], demand.stems[1]);
    case Demand::Kind::word:
      return std::ranges::find(read.stems, demand.stems[0]) != read.stems.end();
    case Demand::Kind::relation:
      break;
  }
  return std::ranges::any_of(relations(), [&](const auto& relation) {
    return relation.first == demand.text && has_any(read.padded, relation.second);
  });
}

double weight_of(Demand::Kind kind) {
  return kind == Demand::Kind::quote                                    ? 4
         : kind == Demand::Kind::number || kind == Demand::Kind::colour ? 2
                                                                        : 1;
}

Kept& count_of(Verdict& verdict, Demand::Kind kind) {
  switch (kind) {
    case Demand::Kind::quote:
      return verdict.quotes;
    case Demand::Kind::number:
      return verdict.numbers;
    case Demand::Kind::colour:
      return verdict.colours;
    case Demand::Kind::relation:
      return verdict.relations;
    case Demand::Kind::word:
      break;
  }
  return verdict.words;
}

}  // namespace

Demands::Demands(std::string_view prompt) {
  std::string rest(prompt);
  for (const std::string_view quote : quotes_of(prompt)) {
    demands_.push_back({Demand::Kind::quote, std::string(quote), {}});
    rest.replace(static_cast<std::size_t>(quote.data() - prompt.data()), quote.size(), quote.size(),
                 ' ');
  }
  const Words words = words_of(rest);
  std::set<std::string> seen;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    const std::string number = normal_number(word);
    const bool colour = colours().contains(word);
    if (!number.empty() || colour) {
      const std::string noun = noun_after(words, i);
      const std::string value = colour ? stem(word) : number;
      if (!noun.empty() && seen.insert(value + " " + stem(noun)).second) {
        demands_.push_back({colour ? Demand::Kind::colour : Demand::Kind::number,
                            word + " " + noun,
                            {value, stem(noun)}});
      } else if (colour && seen.insert(value).second) {
        demands_.push_back({Demand::Kind::word, word, {value}});
      }
    } else if (is_content(word) && seen.insert(stem(word)).second) {
      demands_.push_back({Demand::Kind::word, word, {stem(word)}});
    }
  }
  sides_ = sides_of(words);
  said_ = joined(words);
  for (const auto& [name, phrases] : relations()) {
    if (has_any(said_, phrases)) {
      demands_.push_back({Demand::Kind::relation, name, {}});
    }
  }
}

Verdict Demands::judge(std::string_view caption) const {
  const PreparedCaption read(caption);
  Verdict verdict;
  double weight_kept = 0, weight_asked = 0;
  for (const Demand& demand : demands_) {
    const bool kept = keeps(read, demand);
    Kept& count = count_of(verdict, demand.kind);
    ++count.asked;
    count.kept += kept ? 1 : 0;
    weight_asked += weight_of(demand.kind);
    weight_kept += kept ? weight_of(demand.kind) : 0;
    if (!kept) {
      verdict.lost.push_back(demand.text);
    }
  }
  verdict.contradictions = contradictions_of(demands_, read.words, read.stems);
  for (const auto& more : {on_the_wrong_side(sides_, read.words, read.stems),
                           said_to_be_another(demands_, said_, read.words, read.stems),
                           drawn_otherwise(said_, read.padded)}) {
    verdict.contradictions.insert(verdict.contradictions.end(), more.begin(), more.end());
  }
  weight_asked += 2 * static_cast<double>(verdict.contradictions.size());
  verdict.repetition = repetition(caption);
  const double share = weight_asked == 0 ? 1 : weight_kept / weight_asked;
  verdict.score = std::max(0.0, share - verdict.repetition);
  return verdict;
}

double repetition(std::string_view text) {
  Words words = words_of(text);
  std::erase(words, ".");
  constexpr std::size_t run = 4;
  if (words.size() < run) {
    return 0;
  }
  std::set<std::string> seen;
  int repeated = 0;
  const std::size_t runs = words.size() - run + 1;
  for (std::size_t i = 0; i < runs; ++i) {
    std::string key;
    for (std::size_t j = 0; j < run; ++j) {
      key += words[i + j] + " ";
    }
    repeated += seen.insert(key).second ? 0 : 1;
  }
  return static_cast<double>(repeated) / static_cast<double>(runs);
}

}  // namespace longhand
