#include "core/interrupt.h"

#include <unistd.h>
#include <csignal>

namespace longhand {
namespace {

volatile std::sig_atomic_t signals_seen = 0;

void on_signal(int) {
  signals_seen = signals_seen + 1;
  if (signals_seen > 1) {
    _exit(exit_code(Kind::cancelled));
  }
}

}  // namespace

void catch_interrupts() {
  struct sigaction action{};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

Error stopped_by_signal() {
  return {Kind::cancelled, "stopped by a signal; run the same command again to go on"};
}

bool interrupted() { return signals_seen > 0; }

void throw_if_interrupted() {
  if (interrupted()) {
    throw stopped_by_signal();
  }
}

}  // namespace longhand
