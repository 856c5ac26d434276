// Where points lie in the permutohedral lattice: the simplex around each, and how near each of its vertices is.
#pragma once

#include <cstddef>
#include <cstdint>

namespace deeplab {

// Points embedded at a time, one per lane. The same for every instruction set, so that all do the same sums.
constexpr size_t kEmbeddedLanes = 8;

// Loops compiled for dimensions 1, 2 ...; the one at 0 takes any.
constexpr size_t kEmbedCount = 7;

// Floats that an Embed for any dimension needs to work in, on a cache line.
constexpr size_t embed_scratch(size_t dimension) { return 6 * (dimension + 1) * kEmbeddedLanes; }

// Of each point the keys of the d + 1 vertices around it, key[r * key_stride + point] for colour r, and its barycentric
// weights, weight[point * (d + 1) + r]. `features` is (points, d) row-major; `scale` and `step` hold one value per
// feature.
using Embed = void (*)(size_t dimension, const float* features, const float* scale, const uint64_t* step,
                       uint64_t origin, uint64_t* key, size_t key_stride, float* weight, float* scratch, size_t points);

}  // namespace deeplab
