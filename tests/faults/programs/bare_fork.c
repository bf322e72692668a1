// Forks by the bare system call, behind every hook's back; the child sleeps.

#define _GNU_SOURCE
#include <signal.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

int bare_fork(void) {
  long child = syscall(SYS_fork);
  if (child == 0) {
    for (;;) pause();
  }
  return (int)child;
}

int bare_clone(void) {
  long child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
  if (child == 0) {
    for (;;) pause();
  }
  return (int)child;
}
