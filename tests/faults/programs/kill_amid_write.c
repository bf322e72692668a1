// kill_amid_write PID SHARE: stops the exporter of that process in the middle of a write
// of its slot, right after the word at SHARE (0 to 1) of the sample was written, then
// kills the process (SIGKILL). Exit code 0: the slot's sequence was odd then; 1: it was
// not, or no write came within 2 seconds, and the process was killed all the same; 2: it
// is not there, or has no slot; 3: this machine lets nobody do so.
//
// The stop is a debug register's, set by ptrace(2), on every thread but the main one.
// Layouts: Header and Slot in exporter/region/region.cc, Identity in
// exporter/sample/sample.h.

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOT_BYTES 16384u
#define SLOTS 511
#define SAMPLE_BYTES_OFFSET 12
#define PID_OFFSET 32  // after the sequence and three words of Identity
#define MOST_MAPPINGS 4
#define PATIENCE_SECONDS 2

static pid_t victim;
static int memory;
static uint64_t slots[MOST_MAPPINGS];  // the victim's, in each region that it has mapped
static int slot_count;
static uint32_t sample_bytes;

static int Read(uint64_t address, void* into, size_t bytes) {
  return pread(memory, into, bytes, (off_t)address) == (ssize_t)bytes;
}

static void FindSlot(uint64_t region) {
  if (!Read(region + SAMPLE_BYTES_OFFSET, &sample_bytes, sizeof sample_bytes)) return;
  for (int i = 1; i <= SLOTS; ++i) {
    pid_t holder = 0;
    uint64_t slot = region + (uint64_t)i * SLOT_BYTES;
    if (!Read(slot + PID_OFFSET, &holder, sizeof holder) || holder != victim) continue;
    slots[slot_count++] = slot;
    return;
  }
}

// A process that leads anew has the region before mapped, too.
static void FindSlots(void) {
  char path[64], line[4096];
  snprintf(path, sizeof path, "/proc/%d/maps", victim);
  FILE* maps = fopen(path, "r");
  while (maps != NULL && slot_count < MOST_MAPPINGS && fgets(line, sizeof line, maps)) {
    if (strstr(line, "/memfd:pymalloc_exporter")) FindSlot(strtoull(line, NULL, 16));
  }
  if (maps != NULL) fclose(maps);
}

static int Poke(pid_t thread, int number, uint64_t value) {
  size_t offset = offsetof(struct user, u_debugreg) + (size_t)number * sizeof value;
  return ptrace(PTRACE_POKEUSER, thread, offset, value) == 0;
}

// From now on the thread stops when it has written that word of any of the slots.
static int Watch(pid_t thread, uint64_t word) {
  int status;
  if (ptrace(PTRACE_SEIZE, thread, 0, 0) != 0) {
    if (errno == EPERM) exit(3);
    return 0;
  }
  if (ptrace(PTRACE_INTERRUPT, thread, 0, 0) != 0) return 0;
  if (waitpid(thread, &status, __WALL) != thread || !WIFSTOPPED(status)) return 0;
  uint64_t control = 0;
  for (int i = 0; i < slot_count; ++i) {
    if (!Poke(thread, i, slots[i] + 8 * (word + 1))) exit(3);
    control |= (1u << 2 * i) | (9u << (16 + 4 * i));  // enabled, for writes of 8 bytes
  }
  if (!Poke(thread, 7, control)) exit(3);
  return ptrace(PTRACE_CONT, thread, 0, 0) == 0;
}

static int WatchAll(uint64_t word) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/task", victim);
  DIR* folder = opendir(path);
  int watched = 0;
  for (struct dirent* entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
    pid_t thread = atoi(entry->d_name);
    if (thread > 0 && thread != victim) watched += Watch(thread, word);
  }
  if (folder != NULL) closedir(folder);
  return watched > 0;
}

static int SomeSequenceIsOdd(void) {
  for (int i = 0; i < slot_count; ++i) {
    uint64_t sequence;
    if (Read(slots[i], &sequence, sizeof sequence) && sequence & 1) return 1;
  }
  return 0;
}

static void GiveUp(int number) { (void)number; }

// Whether a thread stopped amid a write; any other stop is passed on.
static int WaitForWrite(void) {
  struct sigaction action = {.sa_handler = GiveUp};
  sigaction(SIGALRM, &action, NULL);
  alarm(PATIENCE_SECONDS);
  int status;
  for (pid_t thread; (thread = waitpid(-1, &status, __WALL)) > 0;) {
    if (!WIFSTOPPED(status)) continue;
    if (WSTOPSIG(status) == SIGTRAP && status >> 16 == 0) return SomeSequenceIsOdd();
    ptrace(PTRACE_CONT, thread, 0, status >> 16 == 0 ? WSTOPSIG(status) : 0);
  }
  return 0;
}

int main(int count, char** arguments) {
  if (count != 3) return 2;
  victim = atoi(arguments[1]);
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/mem", victim);
  memory = open(path, O_RDONLY | O_CLOEXEC);
  FindSlots();
  if (slot_count == 0) return 2;
  uint64_t word = (uint64_t)(atof(arguments[2]) * (sample_bytes / 8));
  int amid = WatchAll(word) && WaitForWrite();
  kill(victim, SIGKILL);
  while (waitpid(-1, NULL, __WALL) > 0) {
  }
  return amid ? 0 : 1;
}
