// Logarithms, exponentials and softmax, compiled once per instruction set: see vectors.hpp.
#include "loops.hpp"
#include "vectors.hpp"

namespace deeplab {
namespace {

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
  __builtin_memcpy(value, &quad, sizeof(quad));
  float result = value[0];
  for (int l = 1; l < lanes; ++l) result = function(result, value[l]);
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

// x <- log(max(x, smallest normal float)), to 2 units in the last place, by
// log(2^e m) = e log 2 + 2 artanh((m - 1) / (m + 1)) with m from √½ to √2.
template <int n>
DEEPLAB_INLINE void log_positive(Float<n>& x) {
  const Float<n> normal = Max()(x, Float<n>{} + 1.17549435e-38f);
  const Int<n> bits = (Int<n>)normal - 0x3f3504f3;  // √½ becomes the bound between two exponents
  const Int<n> exponent = bits >> 23;
  const Float<n> m = (Float<n>)((bits & 0x7fffff) + 0x3f3504f3), e = __builtin_convertvector(exponent, Float<n>);
  const Float<n> s = (m - 1.0f) / (m + 1.0f), square = s * s;
  Float<n> series = square * (2.0f / 9) + 2.0f / 7;
  series = series * square + 2.0f / 5;
  series = series * square + 2.0f / 3;
  series = series * square + 2.0f;
  x = e * 0.693145752f + (series * s + e * 1.42860677e-6f);
}

// values[f] = function(values[f], others[f]), vector by vector; the last one may be shorter.
template <class Function>
DEEPLAB_INLINE void each_vector(float* values, const float* others, size_t floats, const Function& function) {
  Float<kLanes> value{}, other{};
  size_t f = 0;
  for (; f + kLanes <= floats; f += kLanes) {
    __builtin_memcpy(&value, values + f, sizeof(value));
    __builtin_memcpy(&other, others + f, sizeof(other));
    function(value, other);
    __builtin_memcpy(values + f, &value, sizeof(value));
  }
  for (size_t l = 0; f + l < floats; ++l) {
    value[l] = values[f + l];
    other[l] = others[f + l];
  }
  function(value, other);
  for (size_t l = 0; f + l < floats; ++l) values[f + l] = value[l];
}

void log(float* values, size_t floats) {
  each_vector(values, values, floats, [](auto& v, const auto&) { log_positive<kLanes>(v); });
}

void log_add(float* values, const float* others, size_t floats) {
  each_vector(values, others, floats, [](auto& v, const auto& other) {
    const Float<kLanes> larger = Max()(v, other);
    Float<kLanes> rest = Float<kLanes>(v < other ? v : other) - larger;
    exp_nonpositive<kLanes>(rest);
    rest += 1.0f;
    log_positive<kLanes>(rest);
    v = larger + rest;
  });
}

void unpool(float* values, const float* logits, const float* belief, size_t floats) {
  each_vector(values, logits, floats, [](auto& v, const auto& logit) {
    v -= logit;
    v = v < 0.0f ? v : Float<kLanes>{};
    exp_nonpositive<kLanes>(v);
  });
  for (size_t f = 0; f < floats; ++f) values[f] *= belief[f];
}

DEEPLAB_INLINE void exp_each(float* values, size_t floats) {
  each_vector(values, values, floats, [](auto& v, const auto&) { exp_nonpositive<kLanes>(v); });
}

// Each step runs over a group of points before the next begins: the processor then overlaps the points instead of
// waiting for each step of one.
constexpr int kGroup = 64;

template <int width>
DEEPLAB_INLINE void softmax_group(const float* logits, float* messages, size_t blocks, size_t stride,
                                  const LastLabel& label, size_t first, int points) {
  float last[kGroup] = {}, max[kGroup] = {}, sum[kGroup];
  for (int i = 0; label.total && i < points; ++i) last[i] = label.total[first + i];
  for (size_t b = 0; b < blocks; ++b)
    for (int i = 0; i < points; ++i) last[i] -= fold(row_at<width>(messages + b * stride + i * width), Sum());
  for (int i = 0; i < points; ++i) max[i] = last[i] = label.logit[first + i] + label.fraction * last[i];
  for (size_t b = 0; b < blocks; ++b)
    for (int i = 0; i < points; ++i) {
      const size_t at = b * stride + i * width;
      Row<width> row = row_at<width>(messages + at);
      row.each([](auto& v, const auto& logit) { v += logit; }, row_at<width>(logits + at));
      row.store(messages + at);
      max[i] = Max()(max[i], fold(row, Max()));
    }

  for (int i = 0; i < points; ++i) last[i] -= max[i];
  exp_each(last, kGroup);
  for (int i = 0; i < points; ++i) sum[i] = last[i];
  for (size_t b = 0; b < blocks; ++b)
    for (int i = 0; i < points; ++i) {
      const size_t at = b * stride + i * width;
      Row<width> row = row_at<width>(messages + at);
      const float m = max[i];
      row.each([m](auto& v) { v -= m; });
      row.store(messages + at);
    }
  for (size_t b = 0; b < blocks; ++b) {
    exp_each(messages + b * stride, size_t(points * width));
    for (int i = 0; i < points; ++i) sum[i] += fold(row_at<width>(messages + b * stride + i * width), Sum());
  }

  for (int i = 0; i < points; ++i) sum[i] = 1.0f / sum[i];
  for (int i = 0; i < points; ++i) label.belief[first + i] = last[i] * sum[i];
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
void softmax(const float* logits, float* messages, size_t blocks, size_t stride, const LastLabel& last, size_t begin,
             size_t end) {
  for (size_t i = begin; i < end; i += kGroup)
    softmax_group<width>(logits + i * width, messages + i * width, blocks, stride, last, i,
                         int(end - i < kGroup ? end - i : kGroup));
}

}  // namespace

extern const BeliefLoops DEEPLAB_NAME(belief_loops);
const BeliefLoops DEEPLAB_NAME(belief_loops) = {DEEPLAB_WIDTHS(softmax), log, log_add, unpool};

}  // namespace deeplab
