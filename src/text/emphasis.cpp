#include "text/emphasis.h"

#include <charconv>
#include <cmath>

namespace longhand {
namespace {

constexpr double step = 1.1;
constexpr std::size_t deepest = 64;  // brackets within brackets; deeper ones are plain text

class Parser {
 public:
  explicit Parser(std::string_view prompt) : prompt_(prompt) {}

  std::vector<WeightedText> pieces() {
    while (at_ < prompt_.size()) {
      const char c = prompt_[at_++];
      if (c == '\\' && at_ < prompt_.size() && is_bracket_or_backslash(prompt_[at_])) {
        add(prompt_[at_++]);
      } else if ((c == '(' && round_.size() < deepest) || (c == '[' && square_.size() < deepest)) {
        (c == '(' ? round_ : square_).push_back(pieces_.size());
        pieces_.push_back({});
      } else if (c == ')' && !round_.empty()) {
        close(round_, step);
      } else if (c == ']' && !square_.empty()) {
        close(square_, 1 / step);
      } else if (c == ':' && !round_.empty() && explicit_weight()) {
        continue;
      } else {
        add(c);
      }
    }
    close_all(round_, step);
    close_all(square_, 1 / step);
    return joined();
  }

 private:
  static bool is_bracket_or_backslash(char c) {
    return c == '(' || c == ')' || c == '[' || c == ']' || c == '\\';
  }

  void add(char c) {
    if (pieces_.empty()) {
      pieces_.push_back({});
    }
    pieces_.back().text += c;
  }

  /// Multiplies all pieces since the bracket opened.
  void close(std::vector<std::size_t>& open, double factor) {
    for (std::size_t i = open.back(); i < pieces_.size(); ++i) {
      pieces_[i].weight *= factor;
    }
    open.pop_back();
    pieces_.push_back({});
  }

  void close_all(std::vector<std::size_t>& open, double factor) {
    while (!open.empty()) {
      close(open, factor);
    }
  }

  /// ":1.3)" after the colon; false, and nothing read, for anything else.
  bool explicit_weight() {
    std::size_t from = at_;
    while (from < prompt_.size() && prompt_[from] == ' ') {
      ++from;
    }
    double weight = 0;
    const auto [stop, error] =
        std::from_chars(prompt_.data() + from, prompt_.data() + prompt_.size(), weight);
    auto after = static_cast<std::size_t>(stop - prompt_.data());
    while (after < prompt_.size() && prompt_[after] == ' ') {
      ++after;
    }
    if (error != std::errc() || !std::isfinite(weight) || after >= prompt_.size() ||
        prompt_[after] != ')') {
      return false;
    }
    at_ = after + 1;
    close(round_, weight);
    return true;
  }

  std::vector<WeightedText> joined() const {
    std::vector<WeightedText> result;
    for (const WeightedText& piece : pieces_) {
      if (piece.text.empty()) {
        continue;
      }
      if (!result.empty() && result.back().weight == piece.weight) {
        result.back().text += piece.text;
      } else {
        result.push_back(piece);
      }
    }
    return result;
  }

  std::string_view prompt_;
  std::size_t at_ = 0;
  std::vector<WeightedText> pieces_;
  std::vector<std::size_t> round_, square_;  // the pieces that open brackets begin at
};

}  // namespace

std::vector<WeightedText> parse_emphasis(std::string_view prompt) {
  return Parser(prompt).pieces();
}

}  // namespace longhand
