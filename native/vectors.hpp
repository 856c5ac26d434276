// Vector types for files that are compiled several times, with DEEPLAB_ISA naming the instruction set.
//
// Such a file uses no inline function of any other header, and everything here has internal linkage: the linker keeps
// only one copy of an inline function, and it might be one that an older processor cannot run.
#pragma once

#include <cstddef>
#include <cstdint>

#define DEEPLAB_INLINE inline __attribute__((always_inline))

namespace deeplab {
namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

template <int n>
struct Vectors {
  typedef float Float __attribute__((vector_size(n * sizeof(float))));
  typedef int32_t Int __attribute__((vector_size(n * sizeof(float))));
};
// GCC keeps vectors of one element in general registers.
template <>
struct Vectors<1> {
  typedef float Float;
  typedef int32_t Int;
};
template <int n>
using Float = typename Vectors<n>::Float;
template <int n>
using Int = typename Vectors<n>::Int;

constexpr int lanes_of(int width) {
  int lanes = kLanes;
  while (lanes > width) lanes /= 2;
  return lanes;
}

// `width` floats in as few vectors as the instruction set allows: 20 are 16 + 4, or 8 + 8 + 4, or 4 + 4 + 4 + 4 + 4.
template <int width, int lanes = lanes_of(width)>
struct Row {
  Float<lanes> head;
  Row<width - lanes> tail;

  // Calls function(vector of this, vector of each other) for all vectors.
  template <class Function, class... Others>
  DEEPLAB_INLINE void each(const Function& function, const Others&... others) {
    function(head, others.head...);
    tail.each(function, others.tail...);
  }
  DEEPLAB_INLINE void load(const float* from) {
    __builtin_memcpy(&head, from, sizeof(head));
    tail.load(from + lanes);
  }
  DEEPLAB_INLINE void store(float* to) const {
    __builtin_memcpy(to, &head, sizeof(head));
    tail.store(to + lanes);
  }
};
template <>
struct Row<0, 0> {
  template <class Function, class... Others>
  DEEPLAB_INLINE void each(const Function&, const Others&...) {}
  DEEPLAB_INLINE void load(const float*) {}
  DEEPLAB_INLINE void store(float*) const {}
};

template <int width>
DEEPLAB_INLINE Row<width> row_at(const float* from) {
  Row<width> row;
  row.load(from);
  return row;
}

template <int width>
DEEPLAB_INLINE void prefetch_row(const float* row) {
  for (int c = 0; c < width; c += 16) __builtin_prefetch(row + c, 1);
}

}  // namespace
}  // namespace deeplab

// One loop for each of kWidths.
#define DEEPLAB_WIDTHS(loop) \
  {loop<1>, loop<2>, loop<4>, loop<8>, loop<12>, loop<16>, loop<20>, loop<24>, loop<28>, loop<32>}

#define DEEPLAB_JOIN(a, b) a##b
#define DEEPLAB_NAME_OF(name, isa) DEEPLAB_JOIN(name, isa)
#define DEEPLAB_NAME(name) DEEPLAB_NAME_OF(name##_, DEEPLAB_ISA)
#define DEEPLAB_TEXT(isa) #isa
#define DEEPLAB_STRING(isa) DEEPLAB_TEXT(isa)
