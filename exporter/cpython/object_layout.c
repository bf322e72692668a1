/* In C: the interpreter's internal headers are not C++. Py_BUILD_CORE comes from the build.
 *
 * Sources: the headers named; Objects/dictobject.c and Objects/dict-common.h to 3.10.
 */

#include "exporter/cpython/object_layout.h"

#include <Python.h>
#include <string.h>

#include "internal/pycore_gc.h"
#include "internal/pycore_object.h"
#if PY_VERSION_HEX >= 0x030b0000
#include "internal/pycore_dict.h"
#else
#include "frameobject.h"
#endif

#define SPACE_FOR_ENTRIES(slots) (((slots) << 1) / 3)

static uint32_t BytesBefore(uint64_t type_flags) {
#if PY_VERSION_HEX >= 0x030b0000
  PyTypeObject type;
  memset(&type, 0, sizeof type);
  type.tp_flags = (unsigned long)type_flags;
  return (uint32_t)_PyType_PreHeaderSize(&type);
#else
  return (type_flags & Py_TPFLAGS_HAVE_GC) != 0 ? sizeof(PyGC_Head) : 0;
#endif
}

#if PY_VERSION_HEX >= 0x030b0000
static int ReadKeys(const void *copy, struct PymallocExporterKeys *out) {
  const PyDictKeysObject *keys = copy;
  if (keys->dk_log2_size > 40 || keys->dk_kind > DICT_KEYS_SPLIT) return 0;
  int index_log2 = keys->dk_log2_size < 8    ? 0
                   : keys->dk_log2_size < 16 ? 1
                   : keys->dk_log2_size < 32 ? 2
                                             : 3;
  /* The smallest index takes a word in all. */
  if (keys->dk_log2_index_bytes != keys->dk_log2_size + index_log2 ||
      keys->dk_log2_size < 3) {
    return 0;
  }
  uint64_t room = SPACE_FOR_ENTRIES((uint64_t)1 << keys->dk_log2_size);
  int general = keys->dk_kind == DICT_KEYS_GENERAL;
  out->shared = keys->dk_kind == DICT_KEYS_SPLIT;
  if (keys->dk_usable < 0 || keys->dk_nentries < 0 || keys->dk_refcnt < 0) return 0;
  /* Less where popitem() took some, or where the keys are a class's. */
  if ((uint64_t)keys->dk_usable + (uint64_t)keys->dk_nentries > room) return 0;
  out->refcount = (uint64_t)keys->dk_refcnt;
  out->entries_offset = (uint32_t)(sizeof *keys + ((size_t)1 << keys->dk_log2_index_bytes));
  out->entry_bytes =
      (uint32_t)(general ? sizeof(PyDictKeyEntry) : sizeof(PyDictUnicodeEntry));
  out->key_offset = (uint32_t)(general ? offsetof(PyDictKeyEntry, me_key)
                                       : offsetof(PyDictUnicodeEntry, me_key));
  out->used_entries = (uint64_t)keys->dk_nentries;
  out->total_bytes = out->entries_offset + room * out->entry_bytes;
  return 1;
}
_Static_assert(sizeof(PyDictKeysObject) <= kPymallocExporterKeysBytes, "window");
#else
/* Objects/dict-common.h keeps it to itself. */
struct Keys {
  Py_ssize_t refcount, slots;
  void *lookup;
  Py_ssize_t usable, entries;
};
struct KeyEntry {
  Py_hash_t hash;
  PyObject *key, *value;
};

static int ReadKeys(const void *copy, struct PymallocExporterKeys *out) {
  const struct Keys *keys = copy;
  uint64_t slots = (uint64_t)keys->slots;
  if (slots < 8 || slots > (uint64_t)1 << 40 || (slots & (slots - 1)) != 0) return 0;
  if (keys->usable < 0 || keys->entries < 0 || keys->refcount < 0) return 0;
  uint64_t room = SPACE_FOR_ENTRIES(slots);
  uint64_t most = (uint64_t)keys->usable + (uint64_t)keys->entries;
  if (most > room) return 0;
  uint64_t index_bytes = slots <= 0xff ? 1 : slots <= 0xffff ? 2 : slots <= 0xffffffff ? 4 : 8;
  /* A table of keys is shared where several dicts refer to it, or its room was cut. */
  out->shared = keys->refcount > 1 || most != room;
  out->refcount = (uint64_t)keys->refcount;
  out->entries_offset = (uint32_t)(sizeof *keys + slots * index_bytes);
  out->entry_bytes = sizeof(struct KeyEntry);
  out->key_offset = offsetof(struct KeyEntry, key);
  out->used_entries = (uint64_t)keys->entries;
  out->total_bytes = out->entries_offset + room * out->entry_bytes;
  return 1;
}
_Static_assert(sizeof(struct Keys) <= kPymallocExporterKeysBytes, "window");
#endif

static int ReadText(const void *copy, struct PymallocExporterText *out) {
  const PyASCIIObject *text = copy;
  if (!text->state.compact || text->length < 0) return 0;
#if PY_VERSION_HEX < 0x030c0000
  if (!text->state.ready) return 0;
#endif
  out->data_offset = (uint32_t)(text->state.ascii ? sizeof(PyASCIIObject)
                                                  : sizeof(PyCompactUnicodeObject));
  out->character_bytes = text->state.kind;
  out->length = (uint64_t)text->length;
  return text->state.kind == 1 || text->state.kind == 2 || text->state.kind == 4;
}
_Static_assert(sizeof(PyASCIIObject) <= kPymallocExporterTextBytes, "window");

#if PY_VERSION_HEX >= 0x030e0000
#define REFCOUNT_MASK UINT64_C(0x0000ffffffffffff)
#define IMMORTAL_REFCOUNT _Py_IMMORTAL_INITIAL_REFCNT
#define FREE_LIST_LINKS_FIRST 1
#else
#define REFCOUNT_MASK UINT64_MAX
#define FREE_LIST_LINKS_FIRST 0
#if PY_VERSION_HEX >= 0x030c0000
#define IMMORTAL_REFCOUNT ((uint64_t)_Py_IMMORTAL_REFCNT)
#else
#define IMMORTAL_REFCOUNT 0
#endif
#endif

/* Of a free-threaded build nothing is ever read. */
#ifdef Py_GIL_DISABLED
#define REFCOUNT_OFFSET 0
#else
#define REFCOUNT_OFFSET offsetof(PyObject, ob_refcnt)
#endif

#if PY_VERSION_HEX >= 0x030f0000
#define BYTE_ARRAY_HAS_BUFFER 0
#else
#define BYTE_ARRAY_HAS_BUFFER 1
#endif

const struct PymallocExporterObjectLayout pymalloc_exporter_object_layout = {
    .refcount_offset = REFCOUNT_OFFSET,
    .type_offset = offsetof(PyObject, ob_type),
    .refcount_mask = REFCOUNT_MASK,
    .immortal_refcount = IMMORTAL_REFCOUNT,
    .gc_header_bytes = sizeof(PyGC_Head),
    .free_list_links_first = FREE_LIST_LINKS_FIRST,
    .type_bytes = offsetof(PyTypeObject, tp_dict) + sizeof(PyObject *),
    .type_name_offset = offsetof(PyTypeObject, tp_name),
    .type_basic_bytes_offset = offsetof(PyTypeObject, tp_basicsize),
    .type_flags_offset = offsetof(PyTypeObject, tp_flags),
    .type_dict_offset = offsetof(PyTypeObject, tp_dict),
    .type_qualname_offset = offsetof(PyHeapTypeObject, ht_qualname),
    .gc_flag = Py_TPFLAGS_HAVE_GC,
    .heap_type_flag = Py_TPFLAGS_HEAPTYPE,
    .ready_flag = Py_TPFLAGS_READY,
    .metatype_flag = Py_TPFLAGS_TYPE_SUBCLASS,
    .list_flag = Py_TPFLAGS_LIST_SUBCLASS,
    .dict_keys_offset = offsetof(PyDictObject, ma_keys),
    .list_items_offset = offsetof(PyListObject, ob_item),
    .list_allocated_offset = offsetof(PyListObject, allocated),
    .set_mask_offset = offsetof(PySetObject, mask),
    .set_table_offset = offsetof(PySetObject, table),
    .set_small_table_offset = offsetof(PySetObject, smalltable),
    .set_entry_bytes = sizeof(setentry),
    .byte_array_allocated_offset = offsetof(PyByteArrayObject, ob_alloc),
    .byte_array_buffer_offset = offsetof(PyByteArrayObject, ob_bytes),
    .byte_array_has_buffer = BYTE_ARRAY_HAS_BUFFER,
    .type_type = (uintptr_t)&PyType_Type,
    .str_type = (uintptr_t)&PyUnicode_Type,
    .dict_type = (uintptr_t)&PyDict_Type,
    .set_type = (uintptr_t)&PySet_Type,
    .frozenset_type = (uintptr_t)&PyFrozenSet_Type,
    .byte_array_type = (uintptr_t)&PyByteArray_Type,
    .bytes_before = BytesBefore,
    .read_keys = ReadKeys,
    .read_text = ReadText,
};

#if PY_VERSION_HEX < 0x030a0000
/* Exported, but not declared. */
extern PyTypeObject _PyAsyncGenWrappedValue_Type;
extern PyTypeObject _PyAsyncGenASend_Type;
#endif

void pymalloc_exporter_kept_types(uintptr_t *types) {
  const void *kept[] = {
      &PyFloat_Type, &PyTuple_Type, &PyList_Type, &PyDict_Type, &PySlice_Type,
      &PyContext_Type, PyExc_MemoryError,
#if PY_VERSION_HEX < 0x030d0000
      /* Without a symbol from then on. */
      &_PyAsyncGenWrappedValue_Type, &_PyAsyncGenASend_Type,
#endif
#if PY_VERSION_HEX < 0x030b0000
      &PyFrame_Type,
#endif
#if PY_VERSION_HEX >= 0x030e0000
      &PyComplex_Type, &PyLong_Type, &PyListIter_Type, &PyTupleIter_Type, &PyRange_Type,
      &PyRangeIter_Type, &PyCFunction_Type, &PyCMethod_Type, &PyMethod_Type,
#endif
  };
  size_t count = sizeof kept / sizeof kept[0];
  _Static_assert(sizeof kept / sizeof kept[0] < kPymallocExporterMostKeptTypes, "room");
  memset(types, 0, sizeof *types * kPymallocExporterMostKeptTypes);
  memcpy(types, kept, count * sizeof kept[0]);
}
