// How things are spoken of: plurals, articles, and what comes in no number.
#pragma once

#include <string>

namespace longhand {

std::string plural(const std::string& thing);

/// Words that are plural though they name one thing: scissors, sunglasses.
bool plural_only(const std::string& thing);

/// What bread and the like are counted in: "loaf"; "" for what is counted itself.
std::string measure_of(const std::string& thing);

/// Nobody speaks of two of them, or few do.
bool uncountable(const std::string& thing);

/// "a dog", "an orange", "an hourglass".
std::string with_article(const std::string& words);

}  // namespace longhand
