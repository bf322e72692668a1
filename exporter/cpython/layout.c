/* In C: the interpreter's internal headers are not C++. Py_BUILD_CORE comes from the
 * build. */

#include "exporter/cpython/layout.h"

#include <Python.h>

#if PY_VERSION_HEX < 0x03090000 || PY_VERSION_HEX >= 0x03100000
#error "pymalloc_exporter knows CPython 3.9 to 3.15; see exporter/cpython/README.md"
#endif

#include "internal/pycore_gc.h"
#include "internal/pycore_interp.h"

/* Objects/obmalloc.c to 3.11, a header from then on. */
#if PY_VERSION_HEX >= 0x030c0000
#include "internal/pycore_obmalloc.h"
#include "internal/pycore_runtime.h"
#elif PY_VERSION_HEX >= 0x030a0000
#define ARENA_SIZE (1 << 20)
#define POOL_SIZE (1 << 14)
#else
#define ARENA_SIZE (1 << 18)
#define POOL_SIZE (1 << 12)
#endif

/* Modules/posixmodule.c, os_fork_impl and warn_about_fork_with_threads. */
#define COUNTS_THREADS (PY_VERSION_HEX >= 0x030c0000)

#if PY_VERSION_HEX >= 0x030d0000
#define CURRENT_THREAD PyThreadState_GetUnchecked
#else
#define CURRENT_THREAD _PyThreadState_UncheckedGet
#endif

#ifdef Py_GIL_DISABLED
#define FREE_THREADED 1
#else
#define FREE_THREADED 0
#endif

/* Objects/obmalloc.c, get_state(). */
#if PY_VERSION_HEX >= 0x030d0000
#define ARENA_TABLE                           \
  {offsetof(PyInterpreterState, obmalloc), 1, \
   offsetof(struct _obmalloc_state, mgmt.arenas)}
#elif PY_VERSION_HEX >= 0x030c0000
#define ARENA_TABLE {offsetof(PyInterpreterState, obmalloc.mgmt.arenas), 0, 0}
#else
#define ARENA_TABLE {0, 0, 0}
#endif

_Static_assert(NUM_GENERATIONS == 3, "three generations");
_Static_assert(offsetof(struct gc_generation_stats, uncollectable) -
                       offsetof(struct gc_generation_stats, collections) ==
                   2 * sizeof(Py_ssize_t),
               "three counters in a row");

#define GC_STATS_OFFSET               \
  (offsetof(PyInterpreterState, gc) + \
   offsetof(struct _gc_runtime_state, generation_stats))

/* Buffers of the latest entries, from 3.15 on. */
#if PY_VERSION_HEX >= 0x030f0000
#define GC_STATS_INDIRECT 1
#define GC_GENERATION(I)                                      \
  {(I) == 0 ? offsetof(struct gc_stats, young.items)          \
            : offsetof(struct gc_stats, old[(I) == 2].items), \
   (I) == 0 ? GC_YOUNG_STATS_SIZE : GC_OLD_STATS_SIZE,        \
   (I) == 0 ? offsetof(struct gc_stats, young.index)          \
            : offsetof(struct gc_stats, old[(I) == 2].index)}
#else
#define GC_STATS_INDIRECT 0
#define GC_GENERATION(I) {(I) * sizeof(struct gc_generation_stats), 1, 0}
#endif

const struct PymallocExporterLayout pymalloc_exporter_layout = {
    .arena_bytes = ARENA_SIZE,
    .pool_bytes = POOL_SIZE,
    .free_threaded = FREE_THREADED,
    .counts_threads = COUNTS_THREADS,
    .arena_table = ARENA_TABLE,
    .gc_stats = {.offset = GC_STATS_OFFSET,
                 .indirect = GC_STATS_INDIRECT,
                 .entry_bytes = sizeof(struct gc_generation_stats),
                 .counters_offset = offsetof(struct gc_generation_stats, collections),
                 .generations = {GC_GENERATION(0), GC_GENERATION(1), GC_GENERATION(2)}},
};

#if PY_VERSION_HEX >= 0x030c0000
static int flags_are_known;

void pymalloc_exporter_prove_flags(void) {
  /* _PyInterpreterConfig_LEGACY_INIT, which the main interpreter always has. */
  flags_are_known = PyInterpreterState_Main()->feature_flags ==
                    (Py_RTFLAGS_USE_MAIN_OBMALLOC | Py_RTFLAGS_FORK | Py_RTFLAGS_EXEC |
                     Py_RTFLAGS_THREADS | Py_RTFLAGS_DAEMON_THREADS);
}

int pymalloc_exporter_on_main_heap(void) {
  PyThreadState* thread = CURRENT_THREAD();
  if (thread == NULL) return 1;
  PyInterpreterState* interpreter = PyThreadState_GetInterpreter(thread);
  return interpreter == PyInterpreterState_Main() ||
         (flags_are_known &&
          (interpreter->feature_flags & Py_RTFLAGS_USE_MAIN_OBMALLOC) != 0);
}
#else
/* To 3.11 all interpreters share one heap. */
void pymalloc_exporter_prove_flags(void) {}

int pymalloc_exporter_on_main_heap(void) { return 1; }
#endif

const volatile void* pymalloc_exporter_arena_allocator(void) {
#if PY_VERSION_HEX >= 0x030c0000
  return &_PyRuntime.allocators.obj_arena;
#else
  return NULL;
#endif
}

int pymalloc_exporter_runs_pending_calls(void) {
#if PY_VERSION_HEX >= 0x030c0000
  return PyThread_get_thread_ident() == _PyRuntime.main_thread &&
         PyThreadState_Get()->interp == PyInterpreterState_Main();
#else
  return 0;
#endif
}

int64_t pymalloc_exporter_frozen_by_itself(void) {
  int64_t frozen = 0;
#if PY_VERSION_HEX >= 0x030c0000 && PY_VERSION_HEX < 0x030d0000
  PyGC_Head* head = &PyThreadState_Get()->interp->gc.permanent_generation.head;
  for (PyGC_Head* at = _PyGCHead_NEXT(head); at != head; at = _PyGCHead_NEXT(at)) {
    if (_Py_IsImmortal((PyObject*)(at + 1))) ++frozen;
  }
#endif
  return frozen;
}
