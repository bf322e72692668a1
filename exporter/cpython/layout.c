/* In C: the interpreter's internal headers are not C++. Py_BUILD_CORE comes from the build. */

#include "exporter/cpython/layout.h"

#include <Python.h>

#if PY_VERSION_HEX < 0x03090000 || PY_VERSION_HEX >= 0x030e0000
#error "pymalloc_exporter knows CPython 3.9 to 3.13; see exporter/cpython/README.md"
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
#if PY_VERSION_HEX >= 0x030d0000
#define FORK_COUNT kCountedAfterHooks
#elif PY_VERSION_HEX >= 0x030c0000
#define FORK_COUNT kCountedBeforeHooks
#else
#define FORK_COUNT kForkIsNotCounted
#endif

#ifdef Py_GIL_DISABLED
#define FREE_THREADED 1
#else
#define FREE_THREADED 0
#endif

_Static_assert(sizeof(struct gc_generation_stats) == 3 * sizeof(Py_ssize_t),
               "three counters a generation");
_Static_assert(NUM_GENERATIONS == 3, "three generations");

const struct PymallocExporterLayout pymalloc_exporter_layout = {
    .arena_bytes = ARENA_SIZE,
    .pool_bytes = POOL_SIZE,
    .free_threaded = FREE_THREADED,
    .fork_count = FORK_COUNT,
    .gc_stats_offset = offsetof(PyInterpreterState, gc) +
                       offsetof(struct _gc_runtime_state, generation_stats),
};

int pymalloc_exporter_on_main_heap(void) {
#if PY_VERSION_HEX >= 0x030c0000
  PyThreadState *thread = _PyThreadState_UncheckedGet();
  if (thread == NULL || thread->interp == PyInterpreterState_Main()) return 1;
  return (thread->interp->feature_flags & Py_RTFLAGS_USE_MAIN_OBMALLOC) != 0;
#else
  /* To 3.11 all interpreters share one heap. */
  return 1;
#endif
}

const volatile void *pymalloc_exporter_arena_allocator(void) {
#if PY_VERSION_HEX >= 0x030c0000
  return &_PyRuntime.allocators.obj_arena;
#else
  return NULL;
#endif
}

const void *pymalloc_exporter_current_frame(void) {
#if PY_VERSION_HEX >= 0x030d0000
  return PyThreadState_Get()->current_frame;
#else
  return NULL;
#endif
}
