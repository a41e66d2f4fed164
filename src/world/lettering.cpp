#include "world/lettering.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"

namespace longhand {
namespace {

constexpr double letter_height = 6, gap = 1.7, pen = 0.5;  // in the letters' own units
constexpr std::size_t longest_word = 12;
/// Where the board of data/sprites/own.json's sign may be written on, in shares of the sprite.
constexpr double board_left = 0.07, board_right = 0.93, board_top = 0.09, board_bottom = 0.54;

struct Point {
  double x, y;
};
using Stroke = std::vector<Point>;
struct Letter {
  std::vector<Stroke> strokes;
  double width = 0;
};

std::map<char, Letter> read_letters() {
  const fs::path path = home() / "data" / "sprites" / "letters.json";
  std::map<char, Letter> letters;
  try {
    const auto json = nlohmann::json::parse(read_file(path));
    for (const auto& [name, strokes] : json.at("letters").items()) {
      Letter& letter = letters[name.at(0)];
      for (const auto& numbers : strokes.get<std::vector<std::vector<double>>>()) {
        Stroke& stroke = letter.strokes.emplace_back();
        for (std::size_t i = 0; i + 1 < numbers.size(); i += 2) {
          stroke.push_back({numbers[i], numbers[i + 1]});
          letter.width = std::max(letter.width, numbers[i]);
        }
      }
    }
  } catch (const nlohmann::json::exception& error) {
    fail(Kind::corrupt, "{}: expected letters as lists of strokes: {}", path.string(),
         error.what());
  }
  return letters;
}

const Letter& letter_for(char c, const std::string& word) {
  static const std::map<char, Letter> letters = read_letters();
  const auto found = letters.find(c);
  if (found == letters.end()) {
    fail(Kind::invalid_argument, "a sign has words of A to Z on it, not \"{}\"", word);
  }
  return found->second;
}

double distance(const Point& p, const Point& a, const Point& b) {
  const double dx = b.x - a.x, dy = b.y - a.y;
  const double along = std::clamp(
      ((p.x - a.x) * dx + (p.y - a.y) * dy) / std::max(1e-9, dx * dx + dy * dy), 0.0, 1.0);
  return std::hypot(p.x - a.x - along * dx, p.y - a.y - along * dy);
}

double distance(const Point& p, const Letter& letter) {
  double nearest = 1e9;
  for (const Stroke& stroke : letter.strokes) {
    for (std::size_t i = 1; i < stroke.size(); ++i) {
      nearest = std::min(nearest, distance(p, stroke[i - 1], stroke[i]));
    }
  }
  return nearest;
}

/// Mean brightness (BT.601) of what will be written on.
double brightness(const Sprite& sign) {
  double sum = 0, count = 1e-9;
  for (int y = static_cast<int>(board_top * sign.height); y < board_bottom * sign.height; ++y) {
    for (int x = static_cast<int>(board_left * sign.width); x < board_right * sign.width; ++x) {
      const float* p = sign.at(x, y);
      sum += 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
      count += 1;
    }
  }
  return sum / count;
}

/// Paints a letter whose left upper corner is at (left, top), `unit` pixels a unit.
void paint(Sprite& sign, const Letter& letter, double left, double top, double unit, float ink) {
  const double radius = std::max(0.55, pen * unit), reach = radius + 1;
  const auto from = [](double at) { return std::max(0, static_cast<int>(at)); };
  for (int y = from(top - reach);
       y < std::min<double>(sign.height, top + letter_height * unit + reach); ++y) {
    for (int x = from(left - reach);
         x < std::min<double>(sign.width, left + letter.width * unit + reach); ++x) {
      const Point p{(x + 0.5 - left) / unit, (y + 0.5 - top) / unit};
      const auto covered =
          static_cast<float>(std::clamp(radius + 0.5 - distance(p, letter) * unit, 0.0, 1.0));
      float* pixel = sign.at(x, y);
      for (int c = 0; c < 3; ++c) {
        pixel[c] += covered * (ink * pixel[3] - pixel[c]);
      }
    }
  }
}

}  // namespace

void write_on_board(Sprite& sign, const std::string& word) {
  if (word.empty() || word.size() > longest_word) {
    fail(Kind::invalid_argument, "a sign has a word of 1 to {} letters, not \"{}\"", longest_word,
         word);
  }
  double units = gap * static_cast<double>(word.size() - 1);
  for (const char c : word) {
    units += letter_for(c, word).width;
  }
  const double wide = (board_right - board_left) * sign.width;
  const double high = (board_bottom - board_top) * sign.height;
  const double unit = std::min(wide / (units + 2 * pen), 0.72 * high / letter_height);
  double left = (board_left + board_right) / 2 * sign.width - units * unit / 2;
  const double top = (board_top + board_bottom) / 2 * sign.height - letter_height * unit / 2;
  const float ink = brightness(sign) > 0.5 ? 0.08F : 0.97F;
  for (const char c : word) {
    const Letter& letter = letter_for(c, word);
    paint(sign, letter, left, top, unit, ink);
    left += (letter.width + gap) * unit;
  }
}

}  // namespace longhand
