// Sums, products and maxima of tables of rows, compiled once per instruction set: see vectors.hpp.
#include "loops.hpp"
#include "vectors.hpp"

namespace deeplab {
namespace {

template <int width>
void scale(const float* in, const float* scale, float* out, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const float factor = scale[i];
    Row<width> row = row_at<width>(in + i * width);
    row.each([factor](auto& v) { v *= factor; });
    row.store(out + i * width);
  }
}

template <int width>
void largest(const float* rows, float* largest, size_t begin, size_t end) {
  Row<width> most = row_at<width>(largest);
  for (size_t i = begin; i < end; ++i)
    most.each([](auto& m, const auto& v) { m = m > v ? m : v; }, row_at<width>(rows + i * width));
  most.store(largest);
}

template <int width>
void multiply(const float* matrix, const float* in, float* out, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    Row<width> sum = row_at<width>(out + i * width);
    for (int c = 0; c < width; ++c) {
      const float v = in[i * width + c];
      sum.each([v](auto& s, const auto& column) { s += v * column; }, row_at<width>(matrix + c * width));
    }
    sum.store(out + i * width);
  }
}

// The sums of `span` floats; returns where it stopped for lack of as many.
template <int span>
DEEPLAB_INLINE size_t combine_spans(const float* const* rows, const float* weight, size_t count, float* out, size_t f,
                                    size_t floats) {
  for (; f + span <= floats; f += span) {
    Row<span> sum{};
    for (size_t k = 0; k < count; ++k) {
      const float w = weight[k];
      sum.each([w](auto& s, const auto& row) { s += w * row; }, row_at<span>(rows[k] + f));
    }
    sum.store(out + f);
  }
  return f;
}

// Four vectors at a time, so that their sums overlap.
void combine(const float* const* rows, const float* weight, size_t count, float* out, size_t floats) {
  size_t f = combine_spans<4 * kLanes>(rows, weight, count, out, 0, floats);
  f = combine_spans<kLanes>(rows, weight, count, out, f, floats);
  combine_spans<1>(rows, weight, count, out, f, floats);
}

}  // namespace

extern const TableLoops DEEPLAB_NAME(table_loops);
const TableLoops DEEPLAB_NAME(table_loops) = {DEEPLAB_WIDTHS(scale), DEEPLAB_WIDTHS(largest), DEEPLAB_WIDTHS(multiply),
                                              combine};

}  // namespace deeplab
