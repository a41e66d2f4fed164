// A progress line with rate and time left: drawn in place on a terminal, a line every ten seconds
// elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace longhand {

class Progress {
 public:
  /// what: "painting"; unit: "pictures"; total 0 means unknown; done: where a resumed job stands.
  Progress(std::string what, std::string unit, std::int64_t total, std::int64_t done = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// More units done; note is shown at the line's end (a loss, say).
  void advance(std::int64_t count = 1, const std::string& note = {});

 private:
  void draw(bool last);

  std::string what_, unit_, note_;
  std::int64_t total_, start_, done_;
  bool terminal_;
  std::chrono::steady_clock::time_point began_, drawn_;
};

/// "1h02m", "3m05s", "4.2s".
std::string human_time(double seconds);

}  // namespace longhand
