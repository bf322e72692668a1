// The one way in which the exporter speaks: a line on the application's standard error.
//
// Thread safety: any thread. No GIL, no malloc, no exception. A line that cannot be
// written at once (closed, full) is dropped: the application is never made to wait. So is
// one where descriptor 2 may be anything by now: there was none when the exporter came,
// or it is neither what it was then, nor open for append, nor the same as standard
// output.

#pragma once

namespace pymalloc_exporter {

// Writes "pymalloc_exporter: " and the formatted line. From a thread with a descriptor
// table of its own, it borrows the application's standard error for the moment of the
// write.
void LogLine(const char* format, ...) __attribute__((format(printf, 1, 2)));

// Remembers what standard error is. At install.
void KnowStandardError();

// Says that the calling thread's descriptor table is not the application's.
void LogFromOwnTable();

}  // namespace pymalloc_exporter
