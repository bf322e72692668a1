// Our threads around os.fork(), for the versions that count threads there.
//
// CPython 3.12 and later warn when the parent of an os.fork() has more than one thread.
// The pthread_atfork handlers (exporter.h) stop ours before every fork, but would have
// them back before the interpreter counts. The hook holds them until the frame that
// called os.fork() executes again.

#pragma once

namespace pymalloc_exporter {

// Registers it with os.register_at_fork() where this version counts. Under the GIL; false
// with a Python exception set.
bool RegisterForkHook();

}  // namespace pymalloc_exporter
