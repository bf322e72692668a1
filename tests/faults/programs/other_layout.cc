// A process of another version of the exporter, as in a rolling upgrade: other_layout
// PORT. It has no collectors, but takes part as any other. Lives until it is killed.

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "exporter/exporter.h"

int main(int count, char** arguments) {
  using namespace pymalloc_exporter;
  if (count != 2) return 2;
  Settings settings{};
  strcpy(settings.listen.host, "127.0.0.1");
  settings.listen.port = static_cast<uint16_t>(atoi(arguments[1]));
  settings.interval = settings.slow_interval = kSecond / 10;
  strcpy(settings.identity.app, "other");
  char error[200];
  if (!Exporter::Instance().Start(settings, {}, error)) {
    fprintf(stderr, "%s\n", error);
    return 1;
  }
  for (;;) pause();
}
