// Sets the clock of a process: CLOCK_REALTIME is off by as many seconds as the file named
// by CLOCK_STEP says, read anew each time. To be preloaded.

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long Step(void) {
  char text[32] = "";
  const char* name = getenv("CLOCK_STEP");
  int fd = name == NULL ? -1 : open(name, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t bytes = read(fd, text, sizeof text - 1);
  close(fd);
  return bytes > 0 ? atol(text) : 0;
}

int clock_gettime(clockid_t clock, struct timespec* time) {
  int failed = (int)syscall(SYS_clock_gettime, clock, time);
  if (failed == 0 && clock == CLOCK_REALTIME) time->tv_sec += Step();
  return failed;
}
