// Any text as a template: one that renders, or Error{corrupt}.
#include <cstdlib>

#include "core/error.h"
#include "text/template.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace longhand;
  try {
    const auto made = Template::parse({reinterpret_cast<const char*>(data), size}, "fuzz");
    if (made.shared().size() != 1 + 2 * made.turns.size() ||
        made.ask("a cat").content.find("a cat") == std::string::npos) {
      std::abort();
    }
    made.modify("a cat", "a cat on a mat.", "make it red");
  } catch (const Error& error) {
    if (error.kind() != Kind::corrupt) {
      std::abort();
    }
  }
  return 0;
}
