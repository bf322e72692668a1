/* Where each version of CPython keeps its free lists, and how.
 *
 * Filled in at build time from the interpreter's own headers, as layout.h is, and proven
 * on the running interpreter before it is used (free_list_proof.h). To 3.9 they are
 * static variables without a symbol: the offsets are 0 then (static_free_lists.h).
 */

#ifndef PYMALLOC_EXPORTER_CPYTHON_FREE_LIST_LAYOUT_H_
#define PYMALLOC_EXPORTER_CPYTHON_FREE_LIST_LAYOUT_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How the entries are kept. */
enum PymallocExporterFreeListForm {
  kFreeListSingle, /* one object or none: a pointer, without a count */
  kFreeListArray,  /* an array of pointers, filled from its start */
  kFreeListLinked  /* a head; each entry links to the next one */
};

struct PymallocExporterFreeList {
  int kind;        /* FreeListKind of exporter/sample/free_lists.h */
  uint32_t length; /* of the tuples in it; 0 for other kinds */
  enum PymallocExporterFreeListForm form;
  size_t head_offset;  /* in PyInterpreterState: the pointer, the array or the head */
  size_t count_offset; /* in PyInterpreterState */
  uint32_t count_bytes;
  uint32_t capacity;
  uint32_t link_offset;  /* in an entry that links */
  uint32_t object_bytes; /* of an entry, its gc header included */
};

extern const struct PymallocExporterFreeList pymalloc_exporter_free_lists[];
extern const int pymalloc_exporter_free_list_count;

#ifdef __cplusplus
}
#endif

#endif /* PYMALLOC_EXPORTER_CPYTHON_FREE_LIST_LAYOUT_H_ */
