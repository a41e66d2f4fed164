// Finished sentences, and cutting and joining within a token budget.
#pragma once

#include <string>
#include <string_view>

#include "text/clip_tokenizer.h"

namespace longhand {

/// True where the text ends in a full stop, question or exclamation mark (perhaps inside a closing
/// quotation mark or bracket), and not in an abbreviation or an open quotation.
bool ends_finished(std::string_view text);

/// The longest beginning of `text` that ends finished and is within `max_tokens` (with the two
/// marks); where no sentence fits, the last full clause, made a sentence with a full stop; where no
/// clause fits, cut_at_word(). Empty only for empty text.
std::string cut_to_fit(std::string_view text, const ClipTokenizer& tokenizer, int max_tokens);

/// The longest beginning of whole words within `max_tokens`, made a sentence with a full stop; a
/// single word over the budget is cut within. Empty only for empty text.
std::string cut_at_word(std::string_view text, const ClipTokenizer& tokenizer, int max_tokens);

/// White space folded to single spaces; control characters, bytes that are no whole character and a
/// chat model's surroundings (quotation marks around the whole, a leading "Caption:" and the like)
/// removed.
std::string tidy(std::string_view text);

/// True for a prompt that is already a detailed description and is to be kept (by words and
/// clauses).
bool is_detailed(std::string_view prompt);

/// `prompt` as a sentence in front of as much of `caption` as fits the budget.
std::string prompt_in_front(std::string_view prompt, std::string_view caption,
                            const ClipTokenizer& tokenizer, int max_tokens);

/// Checks a prompt from outside: throws invalid_argument when empty, over 64 KiB, not UTF-8, or
/// with control characters other than tab and newline. `where` is for the message ("row 7 of
/// x.csv").
void check_prompt(std::string_view prompt, const std::string& where);

}  // namespace longhand
