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

// For points [begin, end): the keys of the d + 1 vertices around each, key[r * points + i] for colour r, and the point's
// barycentric weights, weight[i * (d + 1) + r]. `features` is (points, d) row-major; `scale` and `step` hold one value
// per feature.
using Embed = void (*)(size_t dimension, const float* features, const float* scale, const uint64_t* step,
                       uint64_t origin, size_t points, uint64_t* key, float* weight, float* scratch, size_t begin,
                       size_t end);

}  // namespace deeplab
