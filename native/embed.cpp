// The embedding, compiled once per instruction set: see vectors.hpp. Adams, Baek & Davis 2010, section 3.1.
#include "embed.hpp"

#include "vectors.hpp"

namespace deeplab {
namespace {

constexpr int kLanesOfPoints = int(kEmbeddedLanes);
using Floats = Float<kLanesOfPoints>;
using Ints = Int<kLanesOfPoints>;
typedef uint64_t Keys __attribute__((vector_size(kLanesOfPoints * sizeof(uint64_t))));  // modulo 2**64

// One vector per corner of a simplex: an array where the dimension is a constant, so that it can live in registers.
template <int d, class T>
struct PerCorner {
  DEEPLAB_INLINE PerCorner(size_t, float*&) {}
  DEEPLAB_INLINE T& operator[](size_t j) { return values[j]; }
  T values[d + 1];
};
template <class T>
struct PerCorner<0, T> {
  DEEPLAB_INLINE PerCorner(size_t corners, float*& scratch) : values(reinterpret_cast<T*>(scratch)) {
    scratch += corners * kEmbeddedLanes;
  }
  DEEPLAB_INLINE T& operator[](size_t j) { return values[j]; }
  T* values;
};

DEEPLAB_INLINE void add_where(Floats& sum, const Ints& condition, const Floats& value) {
  sum += (Floats)(condition & (Ints)value);
}

// `constant` is the dimension, or 0 where it is known at run time only.
template <int constant>
void embed_points(size_t dimension, const float* features, const float* scale, const uint64_t* step, uint64_t origin,
                  uint64_t* key, size_t key_stride, float* weight, float* scratch, size_t points) {
  constexpr float round = 12582912.0f;  // adding and subtracting it rounds half to even
  const size_t d = constant ? size_t(constant) : dimension, corners = d + 1;
  const float down = 1.0f / float(corners), up = float(corners);
  float* free_scratch = scratch;
  PerCorner<constant, Floats> elevated(corners, free_scratch), cell(corners, free_scratch),
      offset(corners, free_scratch), sorted(corners, free_scratch);
  PerCorner<constant, Ints> rank(corners, free_scratch), coordinate(corners, free_scratch);
  for (size_t i = 0; i < points; i += kEmbeddedLanes) {
    const size_t lanes = points - i < kEmbeddedLanes ? points - i : kEmbeddedLanes;
    Floats later{};
    for (size_t j = d; j > 0; --j) {
      Floats along{};
      for (size_t l = 0; l < lanes; ++l) along[l] = features[(i + l) * d + j - 1];
      along *= scale[j - 1];
      elevated[j] = later - float(j) * along;
      later += along;
    }
    elevated[0] = later;

    Floats excess{};
    for (size_t j = 0; j < corners; ++j) {
      cell[j] = (elevated[j] * down + round) - round;
      excess += cell[j];
      offset[j] = elevated[j] - cell[j] * up;
      rank[j] = Ints{};
    }
    for (size_t j = 0; j < d; ++j)
      for (size_t k = j + 1; k < corners; ++k) {
        const Ints below = offset[j] < offset[k];
        rank[j] -= below;
        rank[k] += below + 1;
      }
    // Rounding may have left the plane of zero sum: the coordinates rounded furthest go back by one cell.
    const Ints whole_excess = __builtin_convertvector(excess, Ints);
    for (size_t j = 0; j < corners; ++j) {
      rank[j] += whole_excess;
      const Ints wrap = (rank[j] > int(d)) - (rank[j] < 0);
      rank[j] += wrap * int(corners);
      cell[j] += __builtin_convertvector(wrap, Floats);
      offset[j] = (elevated[j] - cell[j] * up) * down;
      coordinate[j] = __builtin_convertvector(cell[j], Ints);
    }
    for (size_t t = 0; t < corners; ++t) {
      sorted[t] = Floats{};
      for (size_t j = 0; j < corners; ++j) add_where(sorted[t], rank[j] == int(t), offset[j]);
    }
    for (size_t r = 0; r < corners; ++r) {
      Keys here = Keys{} + origin;
      for (size_t j = 0; j < d; ++j)
        here += __builtin_convertvector(coordinate[j] + (rank[j] > int(d - r)), Keys) * step[j];
      const Floats near = r ? sorted[d - r] - sorted[d - r + 1] : sorted[d] + (1.0f - sorted[0]);
      for (size_t l = 0; l < lanes; ++l) {
        key[r * key_stride + i + l] = here[l];
        weight[(i + l) * corners + r] = near[l];
      }
    }
  }
}

}  // namespace

extern const Embed DEEPLAB_NAME(embed)[kEmbedCount];
const Embed DEEPLAB_NAME(embed)[kEmbedCount] = {embed_points<0>, embed_points<1>, embed_points<2>, embed_points<3>,
                                                embed_points<4>, embed_points<5>, embed_points<6>};

}  // namespace deeplab
