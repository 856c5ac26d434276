// Splat, blur and slice, compiled once per instruction set: see vectors.hpp.
#include "loops.hpp"
#include "vectors.hpp"

namespace deeplab {
namespace {

// Rows this narrow are mostly found in the second-level cache, so that fetching ahead costs more than it saves. And a
// chain or list of a few rows takes less time than a mispredicted end of it, so that the ends must not be branches.
constexpr int kNarrow = 4;

template <int width>
DEEPLAB_INLINE Row<width> splat_row(const float* points, const float* before, size_t i) {
  Row<width> row = row_at<width>(points + i * width);
  if (!before) return row;
  const float factor = before[i];
  row.each([factor](auto& v) { v *= factor; });
  return row;
}

template <int width>
DEEPLAB_INLINE void add_to(float* place, float weight, const Row<width>& row) {
  Row<width> sum = row_at<width>(place);
  sum.each([weight](auto& s, const auto& r) { s += weight * r; }, row);
  sum.store(place);
}

// `fixed` corners, or if that is zero as many as there are. `first_part`: no point has a corner at an earlier vertex.
template <int width, size_t fixed, bool first_part>
void splat_part(const Corners& corners, const int32_t* first_vertex, const SplatPart& part, const float* before,
                const float* points, float* vertices, size_t point_count) {
  constexpr size_t ahead = 2;
  const size_t count = fixed ? fixed : corners.count;
  const int32_t first = first_vertex[part.first_group];
  alignas(64) float nowhere[width];  // takes what is for other parts: a branch there would be hard to foresee
  Row<width>{}.store(nowhere);
  const auto place = [&](int32_t v) { return first_part || v >= first ? vertices + size_t(v) * width : nowhere; };
  for (size_t group = part.first_group; group < part.last_group; ++group) {
    for (int32_t v = first_vertex[group]; v < first_vertex[group + 1]; ++v) Row<width>{}.store(place(v));
    const size_t start = group * kGroupedPoints;
    const size_t stop = start + kGroupedPoints < point_count ? start + kGroupedPoints : point_count;
    for (size_t i = start; i < stop; ++i) {
      const int32_t* vertex = corners.vertex + i * count;
      const float* weight = corners.weight + i * count;
      if (width > kNarrow && i + ahead < point_count)
        for (size_t k = 0; k < count; ++k) prefetch_row<width>(place(vertex[ahead * count + k]));
      const Row<width> row = splat_row<width>(points, before, i);
      for (size_t k = 0; k < count; ++k) add_to<width>(place(vertex[k]), weight[k], row);
    }
  }
  for (size_t l = 0; l < part.later_count; ++l) {
    const size_t corner = size_t(part.later[l]), i = corner / count;
    if (width > kNarrow && l + ahead < part.later_count) {
      const size_t next = size_t(part.later[l + ahead]);
      prefetch_row<width>(place(corners.vertex[next]));
      prefetch_row<width>(points + next / count * width);
    }
    add_to<width>(place(corners.vertex[corner]), corners.weight[corner], splat_row<width>(points, before, i));
  }
}

template <int width>
void splat(const Corners& corners, const int32_t* first_vertex, const SplatPart& part, const float* before,
           const float* points, float* vertices, size_t point_count) {
  const auto with = [&](auto loop) { loop(corners, first_vertex, part, before, points, vertices, point_count); };
  if (corners.count == 6)  // x, y, red, green, blue
    with(part.first_group == 0 ? splat_part<width, 6, true> : splat_part<width, 6, false>);
  else if (corners.count == 3)  // x, y
    with(part.first_group == 0 ? splat_part<width, 3, true> : splat_part<width, 3, false>);
  else
    with(splat_part<width, 0, false>);
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
      for (size_t k = 0; k < count; ++k)
        prefetch_row<width>(vertices + size_t(vertex[(i + ahead) * count + k]) * width);
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
