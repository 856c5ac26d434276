// Splat, blur and slice, compiled once per instruction set: see vectors.hpp.
#include "loops.hpp"
#include "vectors.hpp"

namespace deeplab {
namespace {

// Rows this narrow are mostly found in the second-level cache, so that fetching ahead costs more than it saves. And a
// chain or list of a few rows takes less time than a mispredicted end of it, so that the ends must not be branches.
constexpr int kNarrow = 4;

// `fixed` parts, or if that is zero as many as are given; `bounded` if any of them is not a whole colour.
template <int width, size_t fixed, bool bounded>
void splat_parts(const Corners& corners, const int32_t* first_vertex, const Part* parts, size_t given,
                 const float* before, const float* points, float* vertices, size_t point_count) {
  constexpr size_t ahead = 2;
  const size_t part_count = fixed ? fixed : given, first = parts[0].corner;
  const auto place = [&](int32_t v) { return vertices + size_t(v) * width; };
  for (size_t start = 0; start < point_count; start += kGroupedPoints, first_vertex += corners.count) {
    // Those of successive colours follow each other, but for the bounds.
    for (size_t p = 0, step = bounded ? 1 : part_count; p < part_count; p += step) {
      const int32_t begin = first_vertex[first + p], end = first_vertex[first + p + step];
      for (int32_t v = begin < parts[p].first ? parts[p].first : begin; v < end && v < parts[p].last; ++v)
        Row<width>{}.store(place(v));
    }
    const size_t stop = start + kGroupedPoints < point_count ? start + kGroupedPoints : point_count;
    for (size_t i = start; i < stop; ++i) {
      const int32_t* vertex = corners.vertex + i * corners.count + first;
      const float* weight = corners.weight + i * corners.count + first;
      if (width > kNarrow && i + ahead < point_count)
        for (size_t p = 0; p < part_count; ++p) prefetch_row<width>(place(vertex[ahead * corners.count + p]));
      Row<width> row = row_at<width>(points + i * width);
      if (before) {
        const float factor = before[i];
        row.each([factor](auto& v) { v *= factor; });
      }
      for (size_t p = 0; p < part_count; ++p) {
        if (bounded && (vertex[p] < parts[p].first || vertex[p] >= parts[p].last)) continue;
        const float w = weight[p];
        Row<width> sum = row_at<width>(place(vertex[p]));
        sum.each([w](auto& s, const auto& r) { s += w * r; }, row);
        sum.store(place(vertex[p]));
      }
    }
  }
}

template <int width>
void splat(const Corners& corners, const int32_t* first_vertex, const Part* parts, size_t part_count,
           const float* before, const float* points, float* vertices, size_t point_count) {
  const auto with = [&](auto loop) {
    loop(corners, first_vertex, parts, part_count, before, points, vertices, point_count);
  };
  bool whole = true;
  for (size_t p = 0; p < part_count; ++p) whole = whole && parts[p].whole;
  if (whole && part_count == 6)  // one thread for x, y, red, green, blue
    with(splat_parts<width, 6, false>);
  else if (whole && part_count == 3)  // two threads for them, or one for x, y
    with(splat_parts<width, 3, false>);
  else if (part_count == 2)  // two threads for x, y
    with(splat_parts<width, 2, true>);
  else
    with(splat_parts<width, 0, true>);
}

DEEPLAB_INLINE size_t vertex_of(int32_t mark) { return size_t(mark ^ (mark >> 31)); }

template <int width>
void blur(const int32_t* order, size_t size, float* vertices, size_t begin, size_t end) {
  constexpr size_t ahead = 32;
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

// `fixed` corners, or if that is zero as many as there are.
template <int width, size_t fixed>
DEEPLAB_INLINE void slice_corners(const Corners& corners, float factor, const float* after, const float* vertices,
                                  float* points, bool add, size_t begin, size_t end) {
  constexpr size_t ahead = 2;
  const size_t count = fixed ? fixed : corners.count;
  const int32_t* vertex = corners.vertex;
  for (size_t i = begin; i < end; ++i) {
    if (width > kNarrow && i + ahead < end)
      for (size_t k = 0; k < count; ++k) prefetch_row<width>(vertices + size_t(vertex[(i + ahead) * count + k]) * width);
    Row<width> sum{};
    for (size_t k = i * count; k < (i + 1) * count; ++k) {
      const float w = corners.weight[k];
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
void slice(const Corners& corners, float factor, const float* after, const float* vertices, float* points, bool add,
           size_t begin, size_t end) {
  if (corners.count == 6)  // x, y, red, green, blue
    slice_corners<width, 6>(corners, factor, after, vertices, points, add, begin, end);
  else if (corners.count == 3)  // x, y
    slice_corners<width, 3>(corners, factor, after, vertices, points, add, begin, end);
  else
    slice_corners<width, 0>(corners, factor, after, vertices, points, add, begin, end);
}

}  // namespace

extern const LatticeLoops DEEPLAB_NAME(lattice_loops);
const LatticeLoops DEEPLAB_NAME(lattice_loops) = {DEEPLAB_WIDTHS(splat), DEEPLAB_WIDTHS(blur), DEEPLAB_WIDTHS(slice)};

}  // namespace deeplab
