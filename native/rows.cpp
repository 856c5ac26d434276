// Compiled several times, with DEEPLAB_ISA naming the instruction set. Uses no inline function of any header: the
// linker keeps only one copy of those, and it might be one that an older processor cannot run.
#include "rows.hpp"

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

template <int width>
void splat(const uint32_t* first_entry, const uint32_t* point, const float* weight, const float* points,
           float* vertices, size_t begin, size_t end) {
  constexpr size_t ahead = 8;
  const size_t last = first_entry[end];
  for (size_t v = begin; v < end; ++v) {
    Row<width> sum{};
    for (size_t e = first_entry[v]; e < first_entry[v + 1]; ++e) {
      if (e + ahead < last) prefetch_row<width>(points + size_t(point[e + ahead]) * width);
      const float w = weight[e];
      sum.each([w](auto& s, const auto& row) { s += w * row; }, row_at<width>(points + size_t(point[e]) * width));
    }
    sum.store(vertices + v * width);
  }
}

DEEPLAB_INLINE size_t vertex_of(int32_t mark) { return size_t(mark < 0 ? ~mark : mark); }

template <int width>
void blur(const int32_t* order, size_t size, float* vertices, size_t begin, size_t end) {
  constexpr size_t ahead = 12;
  const auto half_sum = [](auto& here, const auto& before, const auto& after) { here += 0.5f * (before + after); };
  size_t i = begin;
  while (i < end && order[i] >= 0) ++i;  // the chunk before this one finishes its last chain
  while (i < end) {
    float* place = vertices + vertex_of(order[i]) * width;
    Row<width> before{}, here = row_at<width>(place);
    for (;;) {
      if (i + ahead < size) prefetch_row<width>(vertices + vertex_of(order[i + ahead]) * width);
      ++i;
      if (i == size || order[i] < 0) break;
      float* next = vertices + size_t(order[i]) * width;
      const Row<width> after = row_at<width>(next);
      Row<width> blurred = here;
      blurred.each(half_sum, before, after);
      blurred.store(place);
      before = here;
      here = after;
      place = next;
    }
    here.each(half_sum, before, Row<width>{});
    here.store(place);
  }
}

template <int width>
void slice(const int32_t* vertex, const float* weight, size_t corners, const float* scale, const float* vertices,
           float* points, bool add, size_t begin, size_t end) {
  constexpr size_t ahead = 2;
  for (size_t i = begin; i < end; ++i) {
    if (i + ahead < end)
      for (size_t k = 0; k < corners; ++k)
        prefetch_row<width>(vertices + size_t(vertex[(i + ahead) * corners + k]) * width);
    Row<width> sum{};
    for (size_t k = i * corners; k < (i + 1) * corners; ++k) {
      const float w = weight[k];
      sum.each([w](auto& s, const auto& row) { s += w * row; }, row_at<width>(vertices + size_t(vertex[k]) * width));
    }
    const float factor = scale[i];
    Row<width> total{};
    if (add) total.load(points + i * width);
    total.each([factor](auto& t, const auto& s) { t += factor * s; }, sum);
    total.store(points + i * width);
  }
}

// Folds a row into four lanes, four channels after four, so that every instruction set adds in the same order.
constexpr int quad_lanes(int width) { return width < 4 ? width : 4; }

template <int width, class Function>
DEEPLAB_INLINE float fold(const Row<width>& row, const Function& function) {
  constexpr int lanes = quad_lanes(width);
  alignas(64) float value[width];
  row.store(value);
  Float<lanes> quad;
  __builtin_memcpy(&quad, value, sizeof(quad));
  for (int c = lanes; c < width; c += lanes) {
    Float<lanes> next;
    __builtin_memcpy(&next, value + c, sizeof(next));
    quad = function(quad, next);
  }
  float result = quad[0];
  for (int l = 1; l < lanes; ++l) result = function(result, quad[l]);
  return result;
}

struct Sum {
  template <class T>
  DEEPLAB_INLINE T operator()(const T& a, const T& b) const {
    return a + b;
  }
};
struct Max {
  template <class T>
  DEEPLAB_INLINE T operator()(const T& a, const T& b) const {
    return a > b ? a : b;
  }
};

constexpr float kSmallestLogit = -60.0f;

// x <- exp(x) for x <= 0, to 2 units in the last place; zero below kSmallestLogit.
template <int n>
DEEPLAB_INLINE void exp_nonpositive(Float<n>& x) {
  constexpr float round = 12582912.0f;  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
  const Float<n> smallest = kSmallestLogit + Float<n>{};
  const Float<n> kept = Max()(x, smallest);
  const Float<n> shifted = kept * 1.44269504f + round;
  const Float<n> whole = shifted - round;
  const Float<n> r = (kept - whole * 0.693145752f) - whole * 1.42860677e-6f;  // less whole * log 2, in two parts
  Float<n> series = r * (1.0f / 720) + 1.0f / 120;
  series = series * r + 1.0f / 24;
  series = series * r + 1.0f / 6;
  series = series * r + 0.5f;
  series = series * r + 1.0f;
  series = series * r + 1.0f;
  const Int<n> power = ((Int<n>)shifted << 23) + (127 << 23);
  const Int<n> value = (Int<n>)(series * (Float<n>)power);
  x = (Float<n>)(value & (Int<n>)(x > smallest));
}

template <int width>
DEEPLAB_INLINE void exp_row(Row<width>& row) {
  row.each([](auto& v) { exp_nonpositive<sizeof(v) / sizeof(float)>(v); });
}

// Each step runs over a group of points before the next begins: the processor then overlaps the points instead of
// waiting for each step of one.
constexpr int kGroup = 64;

template <int width>
DEEPLAB_INLINE void softmax_group(const float* logits, float* messages, size_t blocks, size_t stride,
                                  const float* last_logit, float* last_belief, int points) {
  float last[kGroup] = {}, max[kGroup] = {}, sum[kGroup];
  for (int i = 0; i < points; ++i) last[i] = last_logit[i];
  for (size_t b = 0; b < blocks; ++b)
    for (int i = 0; i < points; ++i) last[i] -= fold(row_at<width>(messages + b * stride + i * width), Sum());
  for (int i = 0; i < points; ++i) max[i] = last[i];
  for (size_t b = 0; b < blocks; ++b)
    for (int i = 0; i < points; ++i) {
      const size_t at = b * stride + i * width;
      Row<width> row = row_at<width>(messages + at);
      row.each([](auto& v, const auto& logit) { v += logit; }, row_at<width>(logits + at));
      row.store(messages + at);
      max[i] = Max()(max[i], fold(row, Max()));
    }

  Row<kGroup> rest = row_at<kGroup>(last);
  rest.each([](auto& v, const auto& m) { v -= m; }, row_at<kGroup>(max));
  exp_row(rest);
  rest.store(sum);
  rest.store(last);
  for (size_t b = 0; b < blocks; ++b)
    for (int i = 0; i < points; ++i) {
      const size_t at = b * stride + i * width;
      Row<width> row = row_at<width>(messages + at);
      const float m = max[i];
      row.each([m](auto& v) { v -= m; });
      exp_row(row);
      row.store(messages + at);
      sum[i] += fold(row, Sum());
    }

  for (int i = 0; i < points; ++i) sum[i] = 1.0f / sum[i];
  for (int i = 0; i < points; ++i) last_belief[i] = last[i] * sum[i];
  for (size_t b = 0; b < blocks; ++b)
    for (int i = 0; i < points; ++i) {
      const size_t at = b * stride + i * width;
      Row<width> row = row_at<width>(messages + at);
      const float scale = sum[i];
      row.each([scale](auto& v) { v *= scale; });
      row.store(messages + at);
    }
}

template <int width>
void softmax(const float* logits, float* messages, size_t blocks, size_t stride, const float* last_logit,
             float* last_belief, size_t begin, size_t end) {
  for (size_t i = begin; i < end; i += kGroup)
    softmax_group<width>(logits + i * width, messages + i * width, blocks, stride, last_logit + i, last_belief + i,
                         int(end - i < kGroup ? end - i : kGroup));
}

}  // namespace

#define DEEPLAB_WIDTHS(loop) \
  { loop<1>, loop<2>, loop<4>, loop<8>, loop<12>, loop<16>, loop<20>, loop<24>, loop<28>, loop<32> }
#define DEEPLAB_JOIN(a, b) a##b
#define DEEPLAB_NAME(isa) DEEPLAB_JOIN(rows_, isa)
#define DEEPLAB_TEXT(isa) #isa
#define DEEPLAB_STRING(isa) DEEPLAB_TEXT(isa)

extern const Rows DEEPLAB_NAME(DEEPLAB_ISA);
const Rows DEEPLAB_NAME(DEEPLAB_ISA) = {DEEPLAB_STRING(DEEPLAB_ISA), DEEPLAB_WIDTHS(splat), DEEPLAB_WIDTHS(blur),
                                        DEEPLAB_WIDTHS(slice), DEEPLAB_WIDTHS(softmax)};

}  // namespace deeplab
