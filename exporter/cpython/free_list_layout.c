/* In C: the interpreter's internal headers are not C++. Py_BUILD_CORE comes from the build.
 *
 * Sources: the headers named; Objects/{float,tuple,list,dict,slice,frame,exceptions,gen}*.c
 * and Python/context.c for links and capacities that they keep to themselves.
 */

#include "exporter/cpython/free_list_layout.h"

#include <Python.h>

#include "exporter/sample/free_lists.h"

#include "internal/pycore_context.h"
#include "internal/pycore_gc.h"
#include "internal/pycore_interp.h"
#if PY_VERSION_HEX >= 0x030b0000
#include "internal/pycore_dict.h"
#else
#include "frameobject.h"
#endif
#if PY_VERSION_HEX >= 0x030d0000
#include "internal/pycore_object_stack.h"
#endif
#if PY_VERSION_HEX >= 0x030e0000
#include "internal/pycore_list.h"
#include "internal/pycore_range.h"
#include "internal/pycore_tuple.h"
#endif
#if PY_VERSION_HEX >= 0x030f0000
#include "internal/pycore_bytesobject.h"
#endif

#define GC_HEADER_BYTES sizeof(PyGC_Head)
#if PY_VERSION_HEX >= 0x030a0000
#define OF_INTERPRETER(field) offsetof(PyInterpreterState, field)
#define COUNT(field)                    \
  .count_offset = OF_INTERPRETER(field), \
  .count_bytes = sizeof(((PyInterpreterState *)0)->field)
#else
/* Static variables: all but their places. */
#define OF_INTERPRETER(field) 0
#define COUNT(field) .count_bytes = sizeof(int)
#endif

#define SINGLE(KIND, FIELD, BYTES)                                                \
  {.kind = KIND, .form = kFreeListSingle, .head_offset = OF_INTERPRETER(FIELD),   \
   .capacity = 1, .object_bytes = BYTES}
#define ARRAY(KIND, ITEMS, NUMBER, MOST, BYTES)                                   \
  {.kind = KIND, .form = kFreeListArray, .head_offset = OF_INTERPRETER(ITEMS),    \
   COUNT(NUMBER), .capacity = MOST, .object_bytes = BYTES}
#define LINKED(KIND, HEAD, NUMBER, MOST, LINK, BYTES)                             \
  {.kind = KIND, .form = kFreeListLinked, .head_offset = OF_INTERPRETER(HEAD),    \
   COUNT(NUMBER), .capacity = MOST, .link_offset = LINK, .object_bytes = BYTES}
#define TUPLE(LENGTH, INDEX)                                                      \
  {.kind = kTupleFreeList, .length = LENGTH, .form = kFreeListLinked,             \
   .head_offset = OF_INTERPRETER(TUPLE_HEAD(INDEX)), COUNT(TUPLE_NUMBER(INDEX)),  \
   .capacity = PyTuple_MAXFREELIST, .link_offset = TUPLE_LINK,                    \
   .object_bytes = GC_HEADER_BYTES + offsetof(PyTupleObject, ob_item) +           \
                   (LENGTH) * sizeof(PyObject *)}

#define LIST_BYTES (GC_HEADER_BYTES + sizeof(PyListObject))
#define DICT_BYTES (GC_HEADER_BYTES + sizeof(PyDictObject))
#define SLICE_BYTES (GC_HEADER_BYTES + sizeof(PySliceObject))
#define CONTEXT_BYTES (GC_HEADER_BYTES + sizeof(struct _pycontextobject))
#define MEMORY_ERROR_BYTES (GC_HEADER_BYTES + sizeof(PyBaseExceptionObject))
#define MOST_MEMORY_ERRORS 16 /* MEMERRORS_SAVE, Objects/exceptions.c */

/* Objects/genobject.c keeps these to itself. */
struct AsyncGenWrappedValue {
  PyObject_HEAD
  PyObject *value;
};
struct AsyncGenAsend {
  PyObject_HEAD
  PyObject *generator;
  PyObject *value;
  int state;
};
#define ASYNC_VALUE_BYTES (GC_HEADER_BYTES + sizeof(struct AsyncGenWrappedValue))
#define ASYNC_ASEND_BYTES (GC_HEADER_BYTES + sizeof(struct AsyncGenAsend))

/* The smallest table of keys: 8 indices of a byte, 5 entries. */
#if PY_VERSION_HEX >= 0x030b0000
#define DICT_KEYS_BYTES (sizeof(PyDictKeysObject) + 8 + 5 * sizeof(PyDictUnicodeEntry))
#else
/* Objects/dict-common.h: five words of header; entries of hash, key and value. */
#define DICT_KEYS_BYTES (5 * sizeof(Py_ssize_t) + 8 + 5 * 3 * sizeof(Py_ssize_t))
#endif

/* Objects/rangeobject.c and Modules/_asynciomodule.c keep these to themselves. */
struct Range {
  PyObject_HEAD
  PyObject *start, *stop, *step, *length;
};
struct FutureIterator {
  PyObject_HEAD
  PyObject *future;
};

#define LISTS(field) object_state.freelists.field
#define TUPLE_LINK offsetof(PyTupleObject, ob_item)

#if PY_VERSION_HEX >= 0x030e0000
/* Of one form: entries linked by their first word. */
#define GENERIC(KIND, NAME, BYTES)                           \
  LINKED(KIND, LISTS(NAME.freelist), LISTS(NAME.size),       \
         Py_##NAME##_MAXFREELIST, 0, BYTES)
#define TUPLE_HEAD(INDEX) LISTS(tuples[INDEX].freelist)
#define TUPLE_NUMBER(INDEX) LISTS(tuples[INDEX].size)
#undef TUPLE_LINK
#define TUPLE_LINK 0
#define PyTuple_MAXFREELIST Py_tuple_MAXFREELIST
#elif PY_VERSION_HEX >= 0x030d0000
#define FLOAT_NUMBER LISTS(floats.numfree)
#define FLOAT_HEAD LISTS(floats.items)
#define TUPLE_HEAD(INDEX) LISTS(tuples.items[INDEX])
#define TUPLE_NUMBER(INDEX) LISTS(tuples.numfree[INDEX])
#define LIST_ITEMS LISTS(lists.items)
#define LIST_NUMBER LISTS(lists.numfree)
#define DICT_ITEMS LISTS(dicts.items)
#define DICT_NUMBER LISTS(dicts.numfree)
#define KEYS_ITEMS LISTS(dictkeys.items)
#define KEYS_NUMBER LISTS(dictkeys.numfree)
#define SLICE LISTS(slices.slice_cache)
#define CONTEXT_HEAD LISTS(contexts.items)
#define CONTEXT_NUMBER LISTS(contexts.numfree)
#define VALUE_ITEMS LISTS(async_gens.items)
#define VALUE_NUMBER LISTS(async_gens.numfree)
#define ASEND_ITEMS LISTS(async_gen_asends.items)
#define ASEND_NUMBER LISTS(async_gen_asends.numfree)
#else
#define FLOAT_NUMBER float_state.numfree
#define FLOAT_HEAD float_state.free_list
#define TUPLE_HEAD(INDEX) tuple.free_list[INDEX]
#define TUPLE_NUMBER(INDEX) tuple.numfree[INDEX]
#define LIST_ITEMS list.free_list
#define LIST_NUMBER list.numfree
#define DICT_ITEMS dict_state.free_list
#define DICT_NUMBER dict_state.numfree
#define KEYS_ITEMS dict_state.keys_free_list
#define KEYS_NUMBER dict_state.keys_numfree
#define SLICE slice_cache
#define CONTEXT_HEAD context.freelist
#define CONTEXT_NUMBER context.numfree
#define VALUE_ITEMS async_gen.value_freelist
#define VALUE_NUMBER async_gen.value_numfree
#define ASEND_ITEMS async_gen.asend_freelist
#define ASEND_NUMBER async_gen.asend_numfree
#endif

/* Objects/{float,tuple,list,dict}object.c, genobject.c and Python/context.c, until each is
 * in a header. */
#ifndef PyFloat_MAXFREELIST
#define PyFloat_MAXFREELIST 100
#endif
#ifndef PyContext_MAXFREELIST
#define PyContext_MAXFREELIST 255
#endif
#if PY_VERSION_HEX < 0x030a0000
#define PyTuple_MAXFREELIST 2000
#define PyList_MAXFREELIST 80
#define PyDict_MAXFREELIST 80
#define _PyAsyncGen_MAXFREELIST 80
#endif

/* To 3.10 a list's place is the length of its tuples, and () has place 0. */
#if PY_VERSION_HEX >= 0x030b0000
#define TUPLE_OF(LENGTH) TUPLE(LENGTH, (LENGTH) - 1)
#else
#define TUPLE_OF(LENGTH) TUPLE(LENGTH, LENGTH)
#endif

/* 3.11 to 3.13 could be configured without any. */
#if PY_VERSION_HEX < 0x030b0000 || PY_VERSION_HEX >= 0x030e0000
#define WITH_FREELISTS 1
#endif

const struct PymallocExporterFreeList pymalloc_exporter_free_lists[] = {
#ifdef WITH_FREELISTS
    TUPLE_OF(1), TUPLE_OF(2), TUPLE_OF(3), TUPLE_OF(4), TUPLE_OF(5), TUPLE_OF(6),
    TUPLE_OF(7), TUPLE_OF(8), TUPLE_OF(9), TUPLE_OF(10), TUPLE_OF(11), TUPLE_OF(12),
    TUPLE_OF(13), TUPLE_OF(14), TUPLE_OF(15), TUPLE_OF(16), TUPLE_OF(17), TUPLE_OF(18),
    TUPLE_OF(19),
#if PY_VERSION_HEX >= 0x030b0000
    TUPLE_OF(20),
#endif
    LINKED(kMemoryErrorFreeList, exc_state.memerrors_freelist,
           exc_state.memerrors_numfree, MOST_MEMORY_ERRORS,
           offsetof(PyBaseExceptionObject, dict), MEMORY_ERROR_BYTES),
#if PY_VERSION_HEX >= 0x030e0000
    GENERIC(kFloatFreeList, floats, sizeof(PyFloatObject)),
    GENERIC(kIntFreeList, ints, sizeof(PyLongObject)),
    GENERIC(kListFreeList, lists, LIST_BYTES),
    GENERIC(kListIteratorFreeList, list_iters,
            GC_HEADER_BYTES + sizeof(_PyListIterObject)),
    GENERIC(kTupleIteratorFreeList, tuple_iters,
            GC_HEADER_BYTES + sizeof(_PyTupleIterObject)),
    GENERIC(kDictFreeList, dicts, DICT_BYTES),
    GENERIC(kDictKeysFreeList, dictkeys, DICT_KEYS_BYTES),
    GENERIC(kSliceFreeList, slices, SLICE_BYTES),
    GENERIC(kRangeFreeList, ranges, sizeof(struct Range)),
    GENERIC(kRangeIteratorFreeList, range_iters, sizeof(_PyRangeIterObject)),
    GENERIC(kContextFreeList, contexts, CONTEXT_BYTES),
    GENERIC(kAsyncGenValueFreeList, async_gens, ASYNC_VALUE_BYTES),
    GENERIC(kAsyncGenAsendFreeList, async_gen_asends, ASYNC_ASEND_BYTES),
    GENERIC(kFutureIteratorFreeList, futureiters,
            GC_HEADER_BYTES + sizeof(struct FutureIterator)),
    GENERIC(kObjectStackFreeList, object_stack_chunks, sizeof(_PyObjectStackChunk)),
    GENERIC(kUnicodeWriterFreeList, unicode_writers, sizeof(_PyUnicodeWriter)),
    GENERIC(kFunctionFreeList, pycfunctionobject,
            GC_HEADER_BYTES + sizeof(PyCFunctionObject)),
    GENERIC(kBuiltinMethodFreeList, pycmethodobject,
            GC_HEADER_BYTES + sizeof(PyCMethodObject)),
    GENERIC(kMethodFreeList, pymethodobjects, GC_HEADER_BYTES + sizeof(PyMethodObject)),
#if PY_VERSION_HEX >= 0x030f0000
    GENERIC(kComplexFreeList, complexes, sizeof(PyComplexObject)),
    GENERIC(kBytesWriterFreeList, bytes_writers, sizeof(PyBytesWriter)),
#endif
#else
    LINKED(kFloatFreeList, FLOAT_HEAD, FLOAT_NUMBER, PyFloat_MAXFREELIST,
           offsetof(PyObject, ob_type), sizeof(PyFloatObject)),
    ARRAY(kListFreeList, LIST_ITEMS, LIST_NUMBER, PyList_MAXFREELIST, LIST_BYTES),
    ARRAY(kDictFreeList, DICT_ITEMS, DICT_NUMBER, PyDict_MAXFREELIST, DICT_BYTES),
    ARRAY(kDictKeysFreeList, KEYS_ITEMS, KEYS_NUMBER, PyDict_MAXFREELIST,
          DICT_KEYS_BYTES),
    SINGLE(kSliceFreeList, SLICE, SLICE_BYTES),
    LINKED(kContextFreeList, CONTEXT_HEAD, CONTEXT_NUMBER, PyContext_MAXFREELIST,
           offsetof(struct _pycontextobject, ctx_weakreflist), CONTEXT_BYTES),
    ARRAY(kAsyncGenValueFreeList, VALUE_ITEMS, VALUE_NUMBER, _PyAsyncGen_MAXFREELIST,
          ASYNC_VALUE_BYTES),
    ARRAY(kAsyncGenAsendFreeList, ASEND_ITEMS, ASEND_NUMBER, _PyAsyncGen_MAXFREELIST,
          ASYNC_ASEND_BYTES),
#if PY_VERSION_HEX < 0x030b0000
    LINKED(kFrameFreeList, frame.free_list, frame.numfree, 200,
           offsetof(struct _frame, f_back), GC_HEADER_BYTES + sizeof(struct _frame)),
#endif
#if PY_VERSION_HEX >= 0x030d0000
    LINKED(kObjectStackFreeList, LISTS(object_stacks.items),
           LISTS(object_stacks.numfree), _PyObjectStackChunk_MAXFREELIST,
           offsetof(_PyObjectStackChunk, prev), sizeof(_PyObjectStackChunk)),
#endif
#endif
#endif
};

const int pymalloc_exporter_free_list_count =
    sizeof pymalloc_exporter_free_lists / sizeof pymalloc_exporter_free_lists[0];
