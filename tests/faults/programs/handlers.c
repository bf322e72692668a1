// Counts signals by the thread that handles them: the main thread, or any other.

#define _GNU_SOURCE
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

static atomic_long by_main, by_others;

static void Count(int number) {
  (void)number;
  if (gettid() == getpid()) {
    ++by_main;
  } else {
    ++by_others;
  }
}

// Handles every signal that can be handled, but those that tell of a fault.
void count_all(void) {
  struct sigaction action = {.sa_handler = Count, .sa_flags = SA_RESTART};
  for (int number = 1; number <= SIGRTMAX; ++number) {
    if (number == SIGSEGV || number == SIGBUS || number == SIGILL || number == SIGFPE)
      continue;
    sigaction(number, &action, NULL);
  }
}

long handled_by_main(void) { return by_main; }
long handled_by_others(void) { return by_others; }
