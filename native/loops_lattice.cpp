// Splat, blur and slice, compiled once per instruction set: see vectors.hpp.
#include "loops.hpp"
#include "vectors.hpp"

namespace deeplab {
namespace {

// Rows this narrow are mostly found in the second-level cache, so that fetching ahead costs more than it saves. And a
// chain or list of a few rows takes less time than a mispredicted end of it, so that the ends must not be branches.
constexpr int kNarrow = 4;

template <int width>
void splat(const uint32_t* first_entry, const uint32_t* point, const float* weight, const float* before,
           const float* points, float* vertices, size_t begin, size_t end) {
  constexpr size_t ahead = 8;
  const size_t last = first_entry[end];
  const auto weight_of = [&](size_t e, size_t p) { return before ? weight[e] * before[p] : weight[e]; };
  if (width <= kNarrow) {
    Row<width> sum{};
    float* vertex = vertices + begin * width;
    for (size_t e = first_entry[begin]; e < last; ++e) {
      const size_t p = point[e] & ~kLastEntry;
      const float w = weight_of(e, p), again = float(1 - int(point[e] >> 31));
      sum.each([w](auto& s, const auto& row) { s += w * row; }, row_at<width>(points + p * width));
      sum.store(vertex);
      sum.each([again](auto& s) { s *= again; });
      vertex += width * (point[e] >> 31);
    }
    return;
  }
  for (size_t v = begin; v < end; ++v) {
    Row<width> sum{};
    for (size_t e = first_entry[v]; e < first_entry[v + 1]; ++e) {
      if (e + ahead < last) prefetch_row<width>(points + size_t(point[e + ahead] & ~kLastEntry) * width);
      const size_t p = point[e] & ~kLastEntry;
      const float w = weight_of(e, p);
      sum.each([w](auto& s, const auto& row) { s += w * row; }, row_at<width>(points + p * width));
    }
    sum.store(vertices + v * width);
  }
}

DEEPLAB_INLINE size_t vertex_of(int32_t mark) { return size_t(mark ^ (mark >> 31)); }

template <int width>
void blur(const int32_t* order, size_t size, float* vertices, size_t begin, size_t end) {
  constexpr size_t ahead = 12;
  const auto half_sum = [](auto& here, const auto& before, const auto& after) { here += 0.5f * (before + after); };
  size_t i = begin;
  while (i < end && order[i] >= 0) ++i;  // the chunk before this one finishes its last chain
  if (width <= kNarrow) {
    if (i == end) return;
    while (end < size && order[end] >= 0) ++end;
    float* place = vertices + vertex_of(order[i]) * width;
    Row<width> before{}, here = row_at<width>(place);
    while (++i < end) {
      const float joined = float(1 + (order[i] >> 31));
      float* next = vertices + vertex_of(order[i]) * width;
      const Row<width> there = row_at<width>(next);
      Row<width> after = there, blurred = here;
      after.each([joined](auto& a) { a *= joined; });
      blurred.each(half_sum, before, after);
      blurred.store(place);
      before = here;
      before.each([joined](auto& b) { b *= joined; });
      here = there;
      place = next;
    }
    here.each(half_sum, before, Row<width>{});
    here.store(place);
    return;
  }
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

// `fixed` corners, or if that is zero as many as are given.
template <int width, size_t fixed>
DEEPLAB_INLINE void slice_corners(const int32_t* vertex, const float* weight, size_t given, float factor,
                                  const float* after, const float* vertices, float* points, bool add, size_t begin,
                                  size_t end) {
  constexpr size_t ahead = 2;
  const size_t corners = fixed ? fixed : given;
  for (size_t i = begin; i < end; ++i) {
    if (width > kNarrow && i + ahead < end)
      for (size_t k = 0; k < corners; ++k)
        prefetch_row<width>(vertices + size_t(vertex[(i + ahead) * corners + k]) * width);
    Row<width> sum{};
    for (size_t k = i * corners; k < (i + 1) * corners; ++k) {
      const float w = weight[k];
      sum.each([w](auto& s, const auto& row) { s += w * row; }, row_at<width>(vertices + size_t(vertex[k]) * width));
    }
    const float scale = after ? factor * after[i] : factor;
    Row<width> total{};
    if (add) total.load(points + i * width);
    total.each([scale](auto& t, const auto& s) { t += scale * s; }, sum);
    total.store(points + i * width);
  }
}

template <int width>
void slice(const int32_t* vertex, const float* weight, size_t corners, float factor, const float* after,
           const float* vertices, float* points, bool add, size_t begin, size_t end) {
  if (corners == 6)  // x, y, red, green, blue
    slice_corners<width, 6>(vertex, weight, corners, factor, after, vertices, points, add, begin, end);
  else
    slice_corners<width, 0>(vertex, weight, corners, factor, after, vertices, points, add, begin, end);
}

}  // namespace

extern const LatticeLoops DEEPLAB_NAME(lattice_loops);
const LatticeLoops DEEPLAB_NAME(lattice_loops) = {DEEPLAB_WIDTHS(splat), DEEPLAB_WIDTHS(blur), DEEPLAB_WIDTHS(slice)};

}  // namespace deeplab
