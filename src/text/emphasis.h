// A1111's emphasis in prompts: (words) weigh 1.1 times, (words:1.3) 1.3 times, [words] a 1.1th;
// brackets nest, up to 64 deep,
// and a backslash makes one plain text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace longhand {

struct WeightedText {
  std::string text;
  double weight = 1;
  bool operator==(const WeightedText&) const = default;
};

/// A prompt's pieces in order, each with its weight; neighbours of one weight are joined. Brackets
/// that are never closed weigh to the end, as in A1111's parse_prompt_attention.
std::vector<WeightedText> parse_emphasis(std::string_view prompt);

}  // namespace longhand
