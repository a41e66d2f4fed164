#include "text/sentences.h"

#include <unicode/utf8.h>

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/letters.h"

namespace longhand {
namespace {

constexpr std::size_t longest_prompt = 64 << 10;
constexpr std::size_t longest_token = 64;  // bytes; CLIP's longest has 32

bool is_closing(char c) { return c == '"' || c == '\'' || c == ')' || c == ']'; }
bool is_mark(char c) { return c == '.' || c == '!' || c == '?'; }

bool is_abbreviation(std::string_view before) {
  static constexpr std::array<std::string_view, 10> known = {"mr", "mrs", "ms",  "dr",  "st",
                                                             "vs", "etc", "e.g", "i.e", "no"};
  const auto space = before.find_last_of(" (\"'");
  const std::string word =
      lower(std::string(before.substr(space == std::string_view::npos ? 0 : space + 1)));
  return std::ranges::find(known, word) != known.end() ||
         (word.size() == 1 && std::isalpha(word[0]));
}

/// Straight double quotes come in pairs; an odd number means that one is still open.
bool has_open_quote(std::string_view text) { return std::ranges::count(text, '"') % 2 != 0; }

std::string_view stripped(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

/// Places just after what may end a sentence, or a clause, in rising order.
std::vector<std::size_t> ends(std::string_view text, bool clauses) {
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool mark = is_mark(text[i]) || (clauses && (text[i] == ',' || text[i] == ';'));
    std::size_t after = i + 1;
    while (mark && after < text.size() && is_closing(text[after])) {
      ++after;
    }
    if (mark && (after == text.size() || text[after] == ' ')) {
      places.push_back(clauses && !is_mark(text[i]) ? i : after);
    }
  }
  return places;
}

/// Without a dangling comma, where it was cut without a conjunction or the like, and with a full
/// stop.
std::string as_sentence(std::string_view clause, bool cut) {
  static constexpr std::array<std::string_view, 12> dangling = {
      " and", " or", " with", " a", " an", " the", " of", " in", " on", " to", " but", " is"};
  std::string text(stripped(clause));
  for (bool changed = true; changed;) {
    changed = false;
    while (!text.empty() && std::string_view(",;:- ").find(text.back()) != std::string_view::npos) {
      text.pop_back();
      changed = true;
    }
    for (const std::string_view word : dangling) {
      if (cut && text.size() > word.size() && text.ends_with(word)) {
        text.resize(text.size() - word.size());
        changed = true;
      }
    }
  }
  if (has_open_quote(text)) {
    text += '"';
  }
  return ends_finished(text) ? text : text + ".";
}

/// Without bytes that are no whole character: a language model's pieces may be parts of one.
std::string whole_characters(std::string_view text) {
  std::string whole;
  const auto length = static_cast<std::int32_t>(text.size());
  for (std::int32_t at = 0; at < length;) {
    const std::int32_t start = at;
    UChar32 point = 0;
    U8_NEXT(text.data(), at, length, point);
    if (point >= 0) {
      whole += text.substr(static_cast<std::size_t>(start), static_cast<std::size_t>(at - start));
    }
  }
  return whole;
}

/// The beginning that `max_tokens` could hold at best: a word is at least a token, a token at most
/// `longest_token` bytes. Keeps the work on a long text within bounds.
std::string_view within_reach(std::string_view text, int max_tokens) {
  const auto limit = static_cast<std::size_t>(max_tokens) * longest_token;
  if (text.size() > limit) {
    std::size_t end = limit;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) {
      --end;
    }
    text = text.substr(0, end);
  }
  int spaces = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ' ' && ++spaces > max_tokens) {
      return text.substr(0, i);
    }
  }
  return text;
}

}  // namespace

bool ends_finished(std::string_view text) {
  text = stripped(text);
  if (has_open_quote(text)) {
    return false;
  }
  while (!text.empty() && is_closing(text.back())) {
    text.remove_suffix(1);
  }
  if (text.empty() || !is_mark(text.back())) {
    return false;
  }
  return text.back() != '.' || !is_abbreviation(text.substr(0, text.size() - 1));
}

std::string cut_to_fit(std::string_view whole, const ClipTokenizer& tokenizer, int max_tokens) {
  const std::string_view text = within_reach(stripped(whole), max_tokens);
  if (text.empty()) {
    return {};
  }
  const auto fits = [&](const std::string& part) { return tokenizer.count(part) <= max_tokens; };
  if (std::string all(text); ends_finished(all) && fits(all)) {
    return all;
  }
  for (const bool clauses : {false, true}) {
    const auto places = ends(text, clauses);
    for (auto place = places.rbegin(); place != places.rend(); ++place) {
      std::string part =
          clauses ? as_sentence(text.substr(0, *place), true) : std::string(text.substr(0, *place));
      if (ends_finished(part) && fits(part)) {
        return part;
      }
    }
  }
  return cut_at_word(text, tokenizer, max_tokens);
}

std::string cut_at_word(std::string_view whole, const ClipTokenizer& tokenizer, int max_tokens) {
  const std::string_view text = within_reach(stripped(whole), max_tokens);
  if (text.empty()) {
    return {};
  }
  const auto fits = [&](const std::string& part) { return tokenizer.count(part) <= max_tokens; };
  for (std::size_t end = text.size(); end != std::string_view::npos && end > 0;
       end = text.rfind(' ', end - 1)) {
    std::string part =
        as_sentence(text.substr(0, end), end < text.size() || text.size() < stripped(whole).size());
    if (fits(part)) {
      return part;
    }
  }
  // One word longer than the budget: as many of its tokens as fit.
  std::vector<int> ids = tokenizer.encode(text);
  ids.resize(std::min(ids.size(), static_cast<std::size_t>(max_tokens)));
  while (!ids.empty()) {
    ids.pop_back();
    std::string part = as_sentence(whole_characters(tokenizer.decode(ids)), true);
    if (fits(part)) {
      return part;
    }
  }
  return ".";
}

std::string tidy(std::string_view raw) {
  std::string text;
  for (const char c : whole_characters(raw)) {
    const bool space = static_cast<unsigned char>(c) <= ' ' || c == 0x7f;
    if (!space) {
      text += c;
    } else if (!text.empty() && text.back() != ' ') {
      text += ' ';
    }
  }
  while (text.ends_with(' ')) {
    text.pop_back();
  }
  for (const std::string_view lead : {"Caption: ", "caption: ", "Assistant: ", "assistant: "}) {
    if (text.starts_with(lead)) {
      text.erase(0, lead.size());
    }
  }
  const bool wrapped = text.size() > 2 && ((text.front() == '"' && text.back() == '"') ||
                                           (text.front() == '[' && text.back() == ']'));
  if (wrapped && std::ranges::count(text, '"') <= 2) {
    text = text.substr(1, text.size() - 2);
  }
  return text;
}

bool is_detailed(std::string_view prompt) {
  const auto words = std::ranges::count(prompt, ' ') + 1;
  const auto clauses = std::ranges::count_if(prompt, [](char c) { return c == ',' || is_mark(c); });
  return words >= 35 || (words >= 25 && clauses >= 2);
}

std::string prompt_in_front(std::string_view prompt, std::string_view caption,
                            const ClipTokenizer& tokenizer, int max_tokens) {
  std::string front = as_sentence(prompt, false);
  if (tokenizer.count(front) > max_tokens) {
    return cut_to_fit(front, tokenizer, max_tokens);
  }
  const auto places = ends(caption, false);
  for (auto place = places.rbegin(); place != places.rend(); ++place) {
    std::string joined = front + " " + std::string(stripped(caption.substr(0, *place)));
    if (ends_finished(joined) && tokenizer.count(joined) <= max_tokens) {
      return joined;
    }
  }
  return front;
}

void check_prompt(std::string_view prompt, const std::string& where) {
  if (stripped(prompt).empty()) {
    fail(Kind::invalid_argument, "{}: the prompt is empty; write a few words", where);
  }
  if (prompt.size() > longest_prompt) {
    fail(Kind::invalid_argument, "{}: the prompt has {} bytes; at most {} are taken", where,
         prompt.size(), longest_prompt);
  }
  std::int32_t at = 0;
  const auto length = static_cast<std::int32_t>(prompt.size());
  while (at < length) {
    const std::int32_t start = at;
    UChar32 point = 0;
    U8_NEXT(prompt.data(), at, length, point);
    if (point < 0) {
      fail(Kind::invalid_argument, "{}: the prompt is not UTF-8 (byte {}); save it as UTF-8", where,
           start);
    }
    if ((point < ' ' && point != '\t' && point != '\n' && point != '\r') || point == 0x7f) {
      fail(Kind::invalid_argument, "{}: the prompt has a control character (U+{:04X}, byte {})",
           where, static_cast<unsigned>(point), start);
    }
  }
}

}  // namespace longhand
