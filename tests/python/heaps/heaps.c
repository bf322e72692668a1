// C heaps of many shapes, made through malloc() as an extension would. For tests: built as
// a shared library and called by ctypes, which gives the GIL away meanwhile.

#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { kPage = 4096, kThreads = 8, kChurned = 4000 };

static size_t Random(uint64_t* state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (size_t)(*state >> 33);
}

// `count` blocks of `least` to `most` bytes, written to, every `freed`-th freed again.
// Returns the first that stays. With `touch` each byte is written.
void* Fill(long count, size_t least, size_t most, int freed, int touch) {
  void** blocks = mmap(0, (size_t)count * sizeof(void*), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  uint64_t random = 1;
  for (long i = 0; i < count; ++i) {
    size_t bytes = least + Random(&random) % (most - least + 1);
    blocks[i] = malloc(bytes);
    if (touch) memset(blocks[i], 1, bytes);
  }
  for (long i = 1; freed && i < count; i += freed) free(blocks[i]);
  void* first = blocks[0];
  munmap(blocks, (size_t)count * sizeof(void*));
  return first;
}

static struct {
  long count;
  size_t least, most;
  int freed;
} job;
static pthread_barrier_t filled;

static void* FillAndStay(void* unused) {
  Fill(job.count, job.least, job.most, job.freed, 1);
  pthread_barrier_wait(&filled);
  for (;;) pause();
  return unused;
}

// The same in threads that stay, each in an arena of its own.
void FillInThreads(int threads, long count, size_t least, size_t most, int freed) {
  job.count = count, job.least = least, job.most = most, job.freed = freed;
  mallopt(M_ARENA_MAX, threads + 1);
  pthread_barrier_init(&filled, 0, (unsigned)threads + 1);
  for (int i = 0; i < threads; ++i) {
    pthread_t thread;
    pthread_create(&thread, 0, FillAndStay, 0);
  }
  pthread_barrier_wait(&filled);
}

// Blocks of their own mapping, one in three plain, the others aligned.
void Map(int count, size_t least, size_t most) {
  static const size_t kAlignments[] = {32, 64, 4096, 8192, 65536, 128, 1024};
  uint64_t random = 2;
  mallopt(M_MMAP_THRESHOLD, 128 * 1024);
  for (int i = 0; i < count; ++i) {
    size_t bytes = least + Random(&random) % (most - least + 1);
    void* block = 0;
    if (i % 3 == 0) {
      block = malloc(bytes);
    } else if (posix_memalign(&block, kAlignments[Random(&random) % 7], bytes) != 0) {
      abort();
    }
    memset(block, 1, 100);
  }
}

// Somebody else's memory in the middle of the heap.
void MoveBreak(long bytes) {
  char* memory = sbrk(bytes);
  for (long i = 0; i + 1 < bytes && i < 2 * kPage; ++i) memory[i] = (char)(i * 17);
}

// The heap cannot grow by brk any more.
int BlockBreak(void) {
  uintptr_t end = ((uintptr_t)sbrk(0) + kPage - 1) / kPage * kPage;
  return mmap((void*)end, kPage, PROT_NONE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
              0) == (void*)end;
}

// Pages amid the heap that are mappings of their own.
int SplitHeap(void* block) {
  char* page = (char*)((uintptr_t)block / kPage * kPage) + kPage;
  return mlock(page, kPage) | madvise(page + 16 * kPage, kPage, MADV_DONTFORK);
}

// Blocks of their own mapping of which the inner pages are locked, or meant for huge pages
// (as numpy does with its own).
int SplitBlocks(int count, size_t bytes) {
  int refused = 0;
  mallopt(M_MMAP_THRESHOLD, 128 * 1024);
  for (int i = 0; i < count; ++i) {
    char* block = malloc(bytes);
    char* page = (char*)((uintptr_t)block / kPage * kPage) + kPage;
    size_t inner = bytes / kPage * kPage - 2 * kPage;
    refused |= i % 2 ? mlock(page, inner / 2) : madvise(page, inner, MADV_HUGEPAGE);
  }
  return refused;
}

static volatile int churning;
static pthread_t churners[kThreads];

static void* Churn(void* seed) {
  static __thread void* blocks[kChurned];
  uint64_t random = (uint64_t)(uintptr_t)seed;
  while (churning) {
    size_t i = Random(&random) % kChurned;
    free(blocks[i]);
    blocks[i] = malloc(Random(&random) % 3000);
  }
  for (int i = 0; i < kChurned; ++i) free(blocks[i]);
  return 0;
}

void StartChurn(void) {
  churning = 1;
  for (intptr_t i = 0; i < kThreads; ++i)
    pthread_create(&churners[i], 0, Churn, (void*)(i + 1));
}

void StopChurn(void) {
  churning = 0;
  for (int i = 0; i < kThreads; ++i) pthread_join(churners[i], 0);
}
