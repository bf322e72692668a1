// Our threads around os.fork(), for the versions that count threads there.
//
// CPython 3.12 and later warn when the parent of an os.fork() has more than one thread.
// The exporter stops ours before every fork, but would have them back before the
// interpreter counts.

#pragma once

namespace pymalloc_exporter {

// True where the fork that the calling thread just made is going to be counted: once it
// was, the main thread calls Exporter::Release(). In the parent, in a pthread_atfork()
// handler, with the GIL or without; other locks of the interpreter's may be held.
bool ReleaseOnceCounted();

}  // namespace pymalloc_exporter
