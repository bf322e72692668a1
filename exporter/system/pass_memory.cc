#include "exporter/system/pass_memory.h"

#include <sys/mman.h>

#include <iterator>

namespace pymalloc_exporter {
namespace {

struct Left {
  void* memory;
  size_t bytes;
};
Left left[4];
size_t left_count;

}  // namespace

void GiveBack(void* memory, size_t bytes, bool in_hurry) {
  if (in_hurry && left_count < std::size(left)) {
    left[left_count++] = {memory, bytes};
  } else {
    munmap(memory, bytes);
  }
}

void GiveBackWhatIsLeft() {
  while (left_count > 0) {
    const Left& one = left[--left_count];
    munmap(one.memory, one.bytes);
  }
}

}  // namespace pymalloc_exporter
