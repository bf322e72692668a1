#include "exporter/system/safe_read.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdlib>

namespace pymalloc_exporter {
namespace {

// A page that is there, and behind it one that is not.
class SafeReadTest : public testing::Test {
 protected:
  static constexpr size_t kPage = 4096;

  SafeReadTest() {
    void* memory = mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    there_ = reinterpret_cast<uintptr_t>(memory);
    gone_ = there_ + kPage;
    munmap(reinterpret_cast<void*>(gone_), kPage);
    *reinterpret_cast<uint64_t*>(there_) = 4711;
  }
  ~SafeReadTest() override { munmap(reinterpret_cast<void*>(there_), kPage); }

  SafeReader reader_;
  uintptr_t there_, gone_;
};

TEST_F(SafeReadTest, ReadsWhatIsThere) {
  uint64_t word = 0;
  EXPECT_TRUE(reader_.Read(there_, &word, sizeof word));
  EXPECT_EQ(word, 4711u);
}

TEST_F(SafeReadTest, RefusesWhatIsNotWhollyThere) {
  uint64_t words[2];
  EXPECT_FALSE(reader_.Read(gone_, words, sizeof *words));
  EXPECT_FALSE(reader_.Read(gone_ - sizeof *words, words, sizeof words));
  EXPECT_TRUE(reader_.Read(there_, words, sizeof words));
}

TEST_F(SafeReadTest, TellsWhichOfSeveralAreThere) {
  uintptr_t addresses[] = {there_, gone_, there_};
  uint64_t words[3] = {};
  bool readable[3];
  reader_.ReadEach(addresses, 3, sizeof *words, words, readable);
  EXPECT_TRUE(readable[0] && !readable[1] && readable[2]);
  EXPECT_EQ(words[2], 4711u);
}

// Found by AddressSanitizer: in an application that has it, its writev() looked at an
// address that was not there, and at memory that had been freed, and ended the process.
TEST_F(SafeReadTest, IsNoErrorToASanitizerOfTheApplication) {
  auto freed = reinterpret_cast<uintptr_t>(malloc(64));
  free(reinterpret_cast<void*>(freed));
  uintptr_t addresses[] = {freed, gone_};
  uint64_t words[2];
  bool readable[2];
  reader_.ReadEach(addresses, 2, sizeof *words, words, readable);
  EXPECT_TRUE(readable[0]);
  EXPECT_FALSE(readable[1]);
}

}  // namespace
}  // namespace pymalloc_exporter
