#include "core/error.h"

#include <array>

namespace longhand {
namespace {

struct Row {
  Kind kind;
  int exit_code;
  int http_status;
};

constexpr std::array<Row, 7> rows{{
    {Kind::invalid_argument, 2, 400},
    {Kind::not_found, 3, 404},
    {Kind::corrupt, 4, 422},
    {Kind::out_of_memory, 5, 507},
    {Kind::cancelled, 130, 499},
    {Kind::unavailable, 6, 503},
    {Kind::internal, 70, 500},
}};

const Row& row_of(Kind kind) { return rows.at(static_cast<std::size_t>(kind)); }

}  // namespace

int exit_code(Kind kind) { return row_of(kind).exit_code; }
int http_status(Kind kind) { return row_of(kind).http_status; }

}  // namespace longhand
