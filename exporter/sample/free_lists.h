// The kinds of free lists: freed objects that CPython keeps for reuse, by type.
//
// To pymalloc they are live blocks. Plain data: no thread, no GIL, no allocation.
// Included by C, too.

#ifndef PYMALLOC_EXPORTER_SAMPLE_FREE_LISTS_H_
#define PYMALLOC_EXPORTER_SAMPLE_FREE_LISTS_H_

// Each with the name of its type, as Python shows it. Of all versions together; the order
// is part of the region's layout.
#define PYMALLOC_EXPORTER_FREE_LIST_KINDS(KIND)                          \
  KIND(kFloatFreeList, "float")                                          \
  KIND(kComplexFreeList, "complex")                                      \
  KIND(kIntFreeList, "int")                                              \
  KIND(kTupleFreeList, "tuple")                                          \
  KIND(kListFreeList, "list")                                            \
  KIND(kListIteratorFreeList, "list_iterator")                           \
  KIND(kTupleIteratorFreeList, "tuple_iterator")                         \
  KIND(kDictFreeList, "dict")                                            \
  KIND(kDictKeysFreeList, "dict keys") /* the table inside, no object */ \
  KIND(kSliceFreeList, "slice")                                          \
  KIND(kRangeFreeList, "range")                                          \
  KIND(kRangeIteratorFreeList, "range_iterator")                         \
  KIND(kContextFreeList, "Context")                                      \
  KIND(kFrameFreeList, "frame")                                          \
  KIND(kMemoryErrorFreeList, "MemoryError")                              \
  KIND(kAsyncGenValueFreeList, "async_generator_wrapped_value")          \
  KIND(kAsyncGenAsendFreeList, "async_generator_asend")                  \
  KIND(kFutureIteratorFreeList, "FutureIter")                            \
  KIND(kObjectStackFreeList, "object stack") /* of the collector */      \
  KIND(kUnicodeWriterFreeList, "str writer")                             \
  KIND(kBytesWriterFreeList, "bytes writer")                             \
  KIND(kFunctionFreeList, "builtin_function_or_method")                  \
  KIND(kBuiltinMethodFreeList, "builtin_method")                         \
  KIND(kMethodFreeList, "method")

enum FreeListKind {
#define PYMALLOC_EXPORTER_ENUMERATOR(name, type) name,
  PYMALLOC_EXPORTER_FREE_LIST_KINDS(PYMALLOC_EXPORTER_ENUMERATOR)
#undef PYMALLOC_EXPORTER_ENUMERATOR
      kFreeListKinds
};

// Tuples have a free list for each length from 1 on.
enum { kMostTupleFreeLists = 20 };

#ifdef __cplusplus
inline constexpr const char* kFreeListTypes[kFreeListKinds] = {
#define PYMALLOC_EXPORTER_TYPE(name, type) type,
    PYMALLOC_EXPORTER_FREE_LIST_KINDS(PYMALLOC_EXPORTER_TYPE)
#undef PYMALLOC_EXPORTER_TYPE
};
#endif

#endif  // PYMALLOC_EXPORTER_SAMPLE_FREE_LISTS_H_
