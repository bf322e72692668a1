/* What differs between versions of CPython: all of it, and nothing else.
 *
 * Filled in at build time from the interpreter's own headers; README.md beside this file
 * is the contract for a new version. Nothing here is believed: install.cc proves each
 * figure on the running interpreter before a collector uses it.
 */

#ifndef PYMALLOC_EXPORTER_CPYTHON_LAYOUT_H_
#define PYMALLOC_EXPORTER_CPYTHON_LAYOUT_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where a pointer to the table of arenas stands (an array of struct arena_object), from
 * 3.12 on; to 3.11 it is a static variable of Objects/obmalloc.c. */
struct PymallocExporterArenaTable {
  size_t offset; /* in PyInterpreterState; 0 where it is static */
  int indirect;  /* a pointer stands there, to what holds the pointer */
  size_t inner_offset;
};

/* Where the garbage collector counts. Of each generation there are one or more entries,
 * the latest of which holds the totals: three Py_ssize_t in a row, collections,
 * collected, uncollectable. */
struct PymallocExporterGcStats {
  size_t offset; /* in PyInterpreterState */
  int indirect;  /* a pointer stands there */
  uint32_t entry_bytes;
  uint32_t counters_offset; /* in an entry */
  struct {
    uint32_t items_offset; /* from where `offset` leads to */
    uint32_t entries;
    uint32_t index_offset; /* an int8_t, the latest entry; not if there is one only */
  } generations[3];
};

struct PymallocExporterLayout {
  uint32_t arena_bytes;
  uint32_t pool_bytes;
  int free_threaded;  /* this build has no pymalloc */
  int counts_threads; /* in os.fork(), after the fork: it warns of more than one */
  struct PymallocExporterArenaTable arena_table;
  struct PymallocExporterGcStats gc_stats;
};

extern const struct PymallocExporterLayout pymalloc_exporter_layout;

/* Looks whether the flags of an interpreter stand where the headers say (in a debug build
 * they may not): the main one's are known. Under the GIL. */
void pymalloc_exporter_prove_flags(void);

/* Whether an arena that the calling thread asks for now belongs to the main interpreter's
 * heap, of which the oracle speaks. Any thread, with or without the GIL. Where the flags
 * are not proven, sub-interpreters are thought to have heaps of their own: what is
 * compared with the oracle lacks their arenas then, and nothing else does. */
int pymalloc_exporter_on_main_heap(void);

/* The interpreter's own record of its arena allocator (a PyObjectArenaAllocator), which
 * can be looked at without the lock that PyObject_GetArenaAllocator() takes from 3.12 on.
 * NULL to 3.11, where it takes none. */
const volatile void* pymalloc_exporter_arena_allocator(void);

/* Whether the calling thread runs what Py_AddPendingCall() adds: the main thread, in the
 * main interpreter. Under the GIL. False to 3.11, where nobody asks. */
int pymalloc_exporter_runs_pending_calls(void);

/* How many objects the interpreter froze by itself: 3.12's collector puts what is
 * immortal where gc.freeze() puts what it finds. 0 in other versions. Under the GIL. */
int64_t pymalloc_exporter_frozen_by_itself(void);

#ifdef __cplusplus
}
#endif

#endif /* PYMALLOC_EXPORTER_CPYTHON_LAYOUT_H_ */
