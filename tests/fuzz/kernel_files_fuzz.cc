// Files of the kernel's: status, stat, maps, cgroup, and all that is read of a control
// group; and the interpreter's own statistics. The first byte says which.

#include <sys/stat.h>

#include <cstdio>

#include "exporter/cpython/oracle.h"
#include "exporter/system/cgroup.h"
#include "exporter/system/memory_maps.h"
#include "exporter/system/process_status.h"
#include "tests/fuzz/fuzz.h"

using namespace pymalloc_exporter;

namespace {

// A folder that stands for /proc and for the control groups, gone when the program ends.
class Files {
 public:
  Files() {
    snprintf(folder_, sizeof folder_, "/dev/shm/pymalloc_exporter_fuzz_%d", getpid());
    mkdir(folder_, 0700);
    mkdir(Path("self").c_str(), 0700);
    atexit([] { Get().Remove(); });
  }
  static Files& Get() {
    static Files& files = *new Files;
    return files;
  }
  KernelPaths paths() const { return {folder_, folder_}; }

  void Write(const char* name, std::string_view text) const {
    int fd = open(Path(name).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    Check(fd >= 0 &&
          write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    close(fd);
  }

 private:
  static constexpr const char* kNames[] = {
      "memory.current",  "memory.max",  "memory.stat", "memory.events",
      "memory.pressure", "self/cgroup", "self/maps",   "self"};

  std::string Path(const char* name) const { return std::string(folder_) + "/" + name; }
  void Remove() const {
    for (const char* name : kNames) remove(Path(name).c_str());
    remove(folder_);
  }

  char folder_[64];
};

void ReadCgroup(FuzzedDataProvider& input) {
  const Files& files = Files::Get();
  files.Write("self/cgroup",
              input.ConsumeBool() ? "0::/\n" : input.ConsumeRandomLengthString());
  for (const char* name : {"memory.current", "memory.max", "memory.stat", "memory.events",
                           "memory.pressure"}) {
    files.Write(name, input.ConsumeRandomLengthString());
  }
  Sample sample = HealthySample();
  sample.identity.serving = true;
  CgroupCollector(files.paths()).Collect(sample, StopFlag{false});
  Check(Valid(sample));
}

void ReadMaps(std::string_view text) {
  const Files& files = Files::Get();
  files.Write("self/maps", text);
  MapsReader reader;
  Check(reader.Open(files.paths()));
  Mapping mapping;
  while (reader.Next(&mapping)) Check(mapping.start <= mapping.end);
}

void Parse(uint8_t kind, std::string_view text) {
  ProcessSample process;
  CgroupFolder folder;
  OracleReading oracle;
  Mapping mapping;
  uint64_t number;
  switch (kind) {
    case 0:
      ParseStatus(text, &process);
      break;
    case 1:
      ParseStat(text, &process, &number);
      break;
    case 2:
      ParseCgroupFolder(text, &folder);
      break;
    case 3:
      ParseOracle(text, &oracle);
      break;
    case 4:
      ParseMapping(text, &mapping);
      break;
    default:
      ReadMaps(text);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider input(data, size);
  auto kind = input.ConsumeIntegralInRange<uint8_t>(0, 6);
  if (kind == 6) {
    ReadCgroup(input);
    return 0;
  }
  // Of exactly its size, so that a look behind its end is seen.
  auto text = input.ConsumeRemainingBytes<char>();
  Parse(kind, {text.data(), text.size()});
  return 0;
}
