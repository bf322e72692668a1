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
   .head_offset = OF_INTERPRETER(TUPLES[INDEX]), COUNT(TUPLE_NUMBERS[INDEX]),     \
   .capacity = PyTuple_MAXFREELIST,                                               \
   .link_offset = offsetof(PyTupleObject, ob_item),                               \
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

#if PY_VERSION_HEX >= 0x030d0000
#define LISTS(field) object_state.freelists.field
#define FLOATS LISTS(floats)
#define FLOAT_HEAD LISTS(floats.items)
#define TUPLES LISTS(tuples.items)
#define TUPLE_NUMBERS LISTS(tuples.numfree)
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
#define FLOATS float_state
#define FLOAT_HEAD float_state.free_list
#define TUPLES tuple.free_list
#define TUPLE_NUMBERS tuple.numfree
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

#ifndef WITH_FREELISTS
#if PY_VERSION_HEX < 0x030b0000
#define WITH_FREELISTS 1
#endif
#endif

const struct PymallocExporterFreeList pymalloc_exporter_free_lists[] = {
#ifdef WITH_FREELISTS
    LINKED(kFloatFreeList, FLOAT_HEAD, FLOATS.numfree, PyFloat_MAXFREELIST,
           offsetof(PyObject, ob_type), sizeof(PyFloatObject)),
    TUPLE_OF(1), TUPLE_OF(2), TUPLE_OF(3), TUPLE_OF(4), TUPLE_OF(5), TUPLE_OF(6),
    TUPLE_OF(7), TUPLE_OF(8), TUPLE_OF(9), TUPLE_OF(10), TUPLE_OF(11), TUPLE_OF(12),
    TUPLE_OF(13), TUPLE_OF(14), TUPLE_OF(15), TUPLE_OF(16), TUPLE_OF(17), TUPLE_OF(18),
    TUPLE_OF(19),
#if PY_VERSION_HEX >= 0x030b0000
    TUPLE_OF(20),
#endif
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
    LINKED(kMemoryErrorFreeList, exc_state.memerrors_freelist,
           exc_state.memerrors_numfree, MOST_MEMORY_ERRORS,
           offsetof(PyBaseExceptionObject, dict), MEMORY_ERROR_BYTES),
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
};

const int pymalloc_exporter_free_list_count =
    sizeof pymalloc_exporter_free_lists / sizeof pymalloc_exporter_free_lists[0];
