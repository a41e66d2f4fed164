// Parts of captions: figures and styles as a person names them.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "world/world.h"

namespace longhand {

/// "car", "dogs".
std::string named(const Figure& figure);

/// "a red car", "two dogs", "a loaf of bread"; with spell_one "one cat" in place of "a cat".
std::string phrase(const Figure& figure, const std::string& adjective = "", bool spell_one = false);

/// "softly shaded", "in a flat style": one of several ways to say a style.
std::string style_words(const std::string& style, Random& random);

/// The ways to say a relation, "to the left of", "left of", the usual ones more than once. Throws
/// std::out_of_range for none of World::relations().
const std::vector<std::string>& relation_words(const std::string& relation);

std::string one_of(Random& random, std::initializer_list<const char*> choices);

}  // namespace longhand
