// The Gaussian over the pixels of an image: exact, as one sum along each column and one along each row.
#pragma once

#include <cstddef>
#include <vector>

#include "lattice.hpp"

namespace deeplab {

class Grid {
 public:
  // taps: the Gaussian at distances 0, 1, ... in pixels; what lies further counts as nothing. A point's normalisation
  // before and after the filter is the product of its column's and its row's, and so is what all of it makes of ones.
  struct Normalization {
    std::vector<float> before, after, total;  // one per column, or one per row
  };
  Grid(std::vector<float> taps, Normalization columns, Normalization rows)
      : taps_(std::move(taps)), columns_(std::move(columns)), rows_(std::move(rows)) {}

  size_t width() const { return columns_.before.size(); }
  size_t height() const { return rows_.before.size(); }
  size_t points() const { return width() * height(); }

  // out[point] += factor * total, over all points.
  void add_total(float factor, float* out) const;
  // Sums along the columns, in place, the normalisation of rows and `factor` included.
  void along_columns(float* points, float factor, const Blocks& blocks, Team& team) const;
  // Sums along one row of the image: what along_columns left of it -> out, which may be the same. The normalisation of
  // columns is included.
  void along_row(const float* points, float* out, const Blocks& blocks) const;

 private:
  std::vector<float> taps_;
  Normalization columns_, rows_;
};

}  // namespace deeplab
