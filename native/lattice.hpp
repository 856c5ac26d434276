// The permutohedral lattice: a Gaussian filter over any points in time linear in their number.
// Adams, Baek & Davis, "Fast High-Dimensional Filtering Using the Permutohedral Lattice", 2010.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "buffer.hpp"
#include "loops.hpp"
#include "team.hpp"

namespace deeplab {

// Chunks of work handed to a thread: big enough to hide the hand-over, small enough to balance.
constexpr size_t kPointGrain = 2048;
constexpr size_t kChainGrain = 4096;

// A table of `channels` columns stored as `blocks` blocks of rows, each row `width` floats (the last block padded).
struct Blocks {
  explicit Blocks(size_t channels);
  size_t padded() const { return blocks * width; }
  size_t channels, blocks, width;
  int index;  // of width in kWidths
};

class Lattice {
 public:
  // features: (points, dimension) row-major, finite, already divided by the standard deviations.
  // Throws std::invalid_argument where the lattice cannot hold them.
  Lattice(const float* features, size_t points, size_t dimension, Team& team);

  size_t points() const { return points_; }
  size_t vertices() const { return size_t(first_vertex_.back()); }
  size_t dimension() const { return corners_ - 1; }
  size_t bytes() const;

  // One block of rows at a time: vertices = blurred sums of before * points. `before` may be null, for one.
  void splat(const float* points, const float* before, float* vertices, int width_index, Team& team) const;
  void blur(float* vertices, int width_index, bool reverse, Team& team) const;
  // points = (add ? points : 0) + factor * after * what the vertices say. `after` may be null, for one.
  void slice(const float* vertices, float factor, const float* after, float* points, bool add, int width_index,
             size_t begin, size_t end) const;

  // One over what the blurs of all axes add up to at most.
  float slice_scale() const;

  // out[point] += factor * after * filter(before); either may be null, for one.
  void add_total(float factor, const float* before, const float* after, float* out, Team& team) const;

  // in, out: (channels, points), may be the same array. `reverse` runs the axes backwards: the transposed filter.
  void filter(const float* in, float* out, size_t channels, bool reverse, Team& team) const;

 private:
  Corners corners() const { return {corners_, vertex_.data(), weight_.data()}; }

  struct Building;
  void find_corners(const float* features, Building& building, Team& team);
  void number_corners(const Building& building, Team& team);
  void divide_splat(Team& team);
  void list_chains(const Building& building, Team& team);

  struct Chains {  // as Blur wants them
    const int32_t* order;
    size_t size;
  };
  struct Part {
    size_t first_group, last_group;
    Buffer<int32_t> later;  // as in SplatPart, and one place that does not count
  };

  size_t points_, corners_;
  Buffer<int32_t> vertex_;              // (points, corners), as in Corners
  Buffer<float> weight_;                // as in Corners
  std::vector<int32_t> first_vertex_;   // of each group, and the end, as Splat wants them
  std::vector<Chains> chains_;          // per axis
  std::vector<Buffer<int32_t>> order_;  // what they lie in, several axes after each other: fewer pages to touch
  std::vector<Part> parts_;             // of the splat, one for each thread of the build
};

// planes[channel] (null: padding, filled with `pad`) <-> rows of one block, over points [begin, end).
void gather_rows(const float* const* planes, const Blocks& blocks, size_t block, float pad, float* rows, size_t begin,
                 size_t end);
void scatter_rows(const float* rows, const Blocks& blocks, size_t block, float* const* planes, size_t begin,
                  size_t end);

}  // namespace deeplab
