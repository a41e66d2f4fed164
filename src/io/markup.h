// Pages of HTML: a template under web/ whose places are filled.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace longhand {

/// Text as it may stand in HTML, in attributes too.
std::string escaped(const std::string& text);

/// web/NAME with each {{place}} replaced by its HTML. Throws not_found; internal for a place that
/// the page lacks.
std::string filled_page(const std::string& name,
                        const std::vector<std::pair<std::string, std::string>>& places);

}  // namespace longhand
