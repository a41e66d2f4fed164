// Words written on a sign's board in capital letters of strokes, data/sprites/letters.json.
#pragma once

#include <string>

#include "world/sprites.h"

namespace longhand {

/// Writes a word across the board of a sign, dark on a light board and light on a dark one.
/// Throws invalid_argument for other characters than A–Z, or none, or more than 12.
void write_on_board(Sprite& sign, const std::string& word);

}  // namespace longhand
