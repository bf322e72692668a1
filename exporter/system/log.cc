#include "exporter/system/log.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "exporter/system/filters.h"

namespace pymalloc_exporter {
namespace {

constexpr size_t kLongestLine = 512;

// Not thread_local: the first look at such a variable would allocate.
std::atomic<pid_t> own_table_thread{0};

// What standard error was; zeros where there was none.
std::atomic<dev_t> known_device{0};
std::atomic<ino_t> known_inode{0};

bool SameFile(const struct stat& file, dev_t device, ino_t inode) {
  return inode != 0 && file.st_dev == device && file.st_ino == inode;
}

// Of the application's descriptor 2: one that closed it gets its number for the next file
// that it opens.
bool IsStandardError(int fd, bool appends) {
  struct stat file, output;
  if (known_inode == 0 || fstat(fd, &file) != 0) return false;
  if (appends || SameFile(file, known_device, known_inode)) return true;
  return stat("/proc/self/fd/1", &output) == 0 &&
         SameFile(file, output.st_dev, output.st_ino);
}

bool Appends(int fd) {
  int flags = fcntl(fd, F_GETFL);
  return flags >= 0 && (flags & O_APPEND) != 0;
}

// A copy of the application's descriptor 2 in this thread's table: pidfd_getfd
// (Linux 5.6), which serves sockets too, else by its name in /proc.
int BorrowStandardError(bool* appends) {
  bool allowed = Survives(UnusualCall::kPidfdOpen) && Survives(UnusualCall::kPidfdGetfd);
  int process = allowed ? static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0)) : -1;
  if (process >= 0) {
    int fd = static_cast<int>(syscall(SYS_pidfd_getfd, process, STDERR_FILENO, 0));
    close(process);
    if (fd >= 0) {
      *appends = Appends(fd);
      return fd;
    }
  }
  *appends = false;  // not known
  return open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

void WriteIfReady(int fd, const char* line, size_t length) {
  pollfd ready{fd, POLLOUT, 0};
  if (poll(&ready, 1, 0) != 1 || !(ready.revents & POLLOUT)) return;
  // SIGPIPE is blocked in our own threads; in the application's, a socket is asked not
  // to.
  if (send(fd, line, length, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return;
  ssize_t written = write(fd, line, length);
  static_cast<void>(written);  // nobody is left to tell
}

}  // namespace

void KnowStandardError() {
  struct stat file;
  bool there = fstat(STDERR_FILENO, &file) == 0;
  known_device = there ? file.st_dev : 0;
  known_inode = there ? file.st_ino : 0;
}

void LogFromOwnTable() { own_table_thread = gettid(); }

void LogLine(const char* format, ...) {
  char line[kLongestLine];
  int prefix = snprintf(line, sizeof line, "pymalloc_exporter: ");
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line + prefix, sizeof line - prefix - 1, format, arguments);
  va_end(arguments);
  size_t length = strlen(line);
  line[length++] = '\n';
  bool own_table = own_table_thread == gettid();
  bool appends = !own_table && Appends(STDERR_FILENO);
  int fd = own_table ? BorrowStandardError(&appends) : STDERR_FILENO;
  if (fd < 0) return;
  if (IsStandardError(fd, appends)) WriteIfReady(fd, line, length);
  if (own_table) close(fd);
}

}  // namespace pymalloc_exporter
