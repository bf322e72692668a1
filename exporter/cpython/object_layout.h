/* How each version of CPython lays out what a census looks at: objects, types, strings,
 * the tables inside dicts.
 *
 * Filled in at build time from the interpreter's own headers, as layout.h is, and proven
 * on the running interpreter before it is used (census_proof.h). Nothing here takes the
 * GIL or follows a pointer: the functions look at copies.
 */

#ifndef PYMALLOC_EXPORTER_CPYTHON_OBJECT_LAYOUT_H_
#define PYMALLOC_EXPORTER_CPYTHON_OBJECT_LAYOUT_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A dict's table of keys. */
struct PymallocExporterKeys {
  uint64_t refcount; /* 0: it is kept in the free list */
  uint32_t entries_offset;
  uint32_t entry_bytes;
  uint32_t key_offset; /* in an entry; the value follows */
  uint64_t used_entries;
  uint64_t total_bytes;
  int shared; /* the keys of a class, split from the values */
};

/* A string's characters: where they are and how wide. */
struct PymallocExporterText {
  uint32_t data_offset;
  uint32_t character_bytes; /* 1 (Latin-1 or ASCII), 2 or 4 */
  uint64_t length;          /* in characters */
};

enum { kPymallocExporterKeysBytes = 40, kPymallocExporterTextBytes = 48 };

struct PymallocExporterObjectLayout {
  /* PyObject. From 3.14 on flags share the refcount's word: `refcount_mask`. */
  uint32_t refcount_offset;
  uint32_t type_offset;
  uint64_t refcount_mask;
  uint64_t immortal_refcount; /* 0: there are none */
  uint32_t gc_header_bytes;
  int free_list_links_first; /* a link takes the refcount's place in a free list */

  /* PyTypeObject. */
  uint32_t type_bytes;
  uint32_t type_name_offset;
  uint32_t type_basic_bytes_offset;
  uint32_t type_flags_offset;
  uint32_t type_dict_offset;
  uint32_t type_qualname_offset; /* of types made at run time only */
  uint64_t gc_flag;
  uint64_t heap_type_flag;
  uint64_t ready_flag;
  uint64_t metatype_flag; /* instances are types */
  uint64_t list_flag;     /* of subclasses, too */

  uint32_t dict_keys_offset;
  uint32_t list_items_offset, list_allocated_offset;
  uint32_t set_mask_offset, set_table_offset, set_small_table_offset;
  uint32_t set_entry_bytes;
  uint32_t byte_array_allocated_offset, byte_array_buffer_offset;
  int byte_array_has_buffer; /* to 3.14; later it is a bytes object of its own */

  uintptr_t type_type, str_type, dict_type, set_type, frozenset_type, byte_array_type;

  /* What lies before an object of a type with these flags, in bytes. */
  uint32_t (*bytes_before)(uint64_t type_flags);
  /* Whether `copy` (kPymallocExporterKeysBytes) begins a table of keys. */
  int (*read_keys)(const void* copy, struct PymallocExporterKeys* out);
  /* Whether `copy` (kPymallocExporterTextBytes) of a str has its characters behind it. */
  int (*read_text)(const void* copy, struct PymallocExporterText* out);
};

extern const struct PymallocExporterObjectLayout pymalloc_exporter_object_layout;

/* The types whose dead objects are kept in free lists, as far as they have a symbol;
 * 0 ends them. */
enum { kPymallocExporterMostKeptTypes = 32 };
void pymalloc_exporter_kept_types(uintptr_t* types);

#ifdef __cplusplus
}
#endif

#endif /* PYMALLOC_EXPORTER_CPYTHON_OBJECT_LAYOUT_H_ */
