#include "exporter/exporter.h"

#include <cerrno>
#include <cstdio>

#include "exporter/system/log.h"

namespace pymalloc_exporter {
namespace {

class Lock {
 public:
  explicit Lock(pthread_mutex_t& mutex) : mutex_(mutex) { pthread_mutex_lock(&mutex_); }
  ~Lock() { pthread_mutex_unlock(&mutex_); }

 private:
  pthread_mutex_t& mutex_;
};

}  // namespace

Exporter& Exporter::Instance() {
  static Exporter& exporter = *new Exporter;
  return exporter;
}

bool Exporter::Start(const Settings& settings, const Crew& crew, char* error) {
  Lock lock(lifecycle_);
  if (started_) return true;
  KnowStandardError();
  sampler_.Configure(settings, crew);
  if (!thread_.Start()) {
    snprintf(error, 200, "no thread could be started: off");
    return false;
  }
  started_ = true;
  pthread_atfork([] { Instance().BeforeFork(); }, [] { Instance().AfterForkInParent(); },
                 [] { Instance().AfterForkInChild(); });
  return true;
}

void Exporter::Resume() {
  if (thread_.Start() || reported_) return;
  reported_ = true;
  LogLine("no thread could be started after a fork: off until the next one");
}

void Exporter::Hold() {
  Lock lock(lifecycle_);
  ++holds_;
  thread_.Stop();
}

void Exporter::Release() {
  Lock lock(lifecycle_);
  // A child has the parent's pending calls, but begins without its holds.
  if (holds_ > 0 && --holds_ == 0) Resume();
}

bool Exporter::held() {
  Lock lock(lifecycle_);
  return holds_ > 0;
}

void Exporter::BeforeFork() {
  pthread_mutex_lock(&lifecycle_);
  thread_.Stop();
}

void Exporter::AfterForkInParent() {
  // Of a fork that failed; the C library keeps it over handlers since glibc 2.34 only.
  int error = errno;
  sampler_.NoteFork();
  if (holds_ == 0) Resume();
  pthread_mutex_unlock(&lifecycle_);
  errno = error;
}

void Exporter::AfterForkInChild() {
  // The hooks that hold run in the parent; the child begins without.
  holds_ = 0;
  thread_.Forget();
  sampler_.BecomeChild();
  Resume();
  pthread_mutex_unlock(&lifecycle_);
}

}  // namespace pymalloc_exporter
