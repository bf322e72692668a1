// filtered refuse|kill CALL ... -- COMMAND ...: runs it under a seccomp filter that refuses
// these system calls (EPERM), or kills for them. A call is its number, or NUMBER/WORD=VALUE
// for calls with that argument only (the lower half of word WORD).

#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static struct sock_filter program[256];
static unsigned short length;

static void Add(struct sock_filter instruction) { program[length++] = instruction; }

static void Load(unsigned offset) {
  Add((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset));
}

static void Forbid(const char* call, unsigned verdict) {
  unsigned number, word, value;
  int parts = sscanf(call, "%u/%u=%u", &number, &word, &value);
  Load(offsetof(struct seccomp_data, nr));
  // Over what follows, if it is another call.
  unsigned char rest = parts == 3 ? 3 : 1;
  Add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, rest));
  if (parts == 3) {
    Load(offsetof(struct seccomp_data, args) + 8 * word);
    Add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1));
  }
  Add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, verdict));
}

int main(int count, char** arguments) {
  if (count < 5) return 2;
  unsigned verdict = strcmp(arguments[1], "kill") == 0 ? SECCOMP_RET_KILL_PROCESS
                                                        : SECCOMP_RET_ERRNO | EPERM;
  int at = 2;
  for (; at < count && strcmp(arguments[at], "--") != 0; ++at) {
    Forbid(arguments[at], verdict);
  }
  Add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  struct sock_fprog filter = {.len = length, .filter = program};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return 3;
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) return 4;
  execv(arguments[at + 1], arguments + at + 1);
  return 127;
}
