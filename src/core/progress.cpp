#include "core/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

namespace longhand {

std::string human_time(double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  if (seconds < 60) {
    return fmt::format("{:.1f}s", seconds);
  }
  if (whole < 3600) {
    return fmt::format("{}m{:02}s", whole / 60, whole % 60);
  }
  return fmt::format("{}h{:02}m", whole / 3600, whole / 60 % 60);
}

Progress::Progress(std::string what, std::string unit, std::int64_t total, std::int64_t done)
    : what_(std::move(what)),
      unit_(std::move(unit)),
      total_(total),
      start_(done),
      done_(done),
      terminal_(isatty(STDERR_FILENO) == 1),
      began_(std::chrono::steady_clock::now()),
      drawn_(began_) {}

Progress::~Progress() {
  if (done_ > start_) {
    draw(true);
  }
}

void Progress::advance(std::int64_t count, const std::string& note) {
  done_ += count;
  note_ = note;
  const auto now = std::chrono::steady_clock::now();
  if (now - drawn_ > std::chrono::milliseconds(terminal_ ? 100 : 10000)) {
    drawn_ = now;
    draw(false);
  }
}

void Progress::draw(bool last) {
  const double elapsed =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
  const double rate = elapsed > 0 ? static_cast<double>(done_ - start_) / elapsed : 0;
  std::string line = fmt::format("{} {}", what_, done_);
  if (total_ > 0) {
    line += fmt::format("/{}", total_);
  }
  line += fmt::format(" {} · {:.3g}/s · {}", unit_, rate, human_time(elapsed));
  if (!last && total_ > done_ && rate > 0) {
    line += fmt::format(" · {} left", human_time(static_cast<double>(total_ - done_) / rate));
  }
  if (!note_.empty()) {
    line += " · " + note_;
  }
  if (terminal_) {
    fmt::print(stderr, "\r\x1b[K{}{}", line, last ? "\n" : "");
  } else {
    fmt::print(stderr, "{}\n", line);
  }
  std::fflush(stderr);
}

}  // namespace longhand
