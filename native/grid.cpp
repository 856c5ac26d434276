#include "grid.hpp"

#include <algorithm>

namespace deeplab {

namespace {

// Floats of an image row that one thread sums along the columns: the rows in reach stay in the second-level cache, and
// few enough remain for other threads.
constexpr size_t kStrip = 640;
constexpr size_t kNarrowestStrip = 128;

}  // namespace

void Grid::add_total(float factor, float* out) const {
  for (size_t y = 0; y < height(); ++y)
    for (size_t x = 0; x < width(); ++x) out[y * width() + x] += factor * (rows_.total[y] * columns_.total[x]);
}

void Grid::along_columns(float* points, float factor, const Blocks& blocks, Team& team) const {
  const size_t reach = taps_.size();  // pixels on one side, and the pixel itself
  const size_t pixels = std::max(kStrip / blocks.width, size_t(32));
  team.each(width(), std::min(pixels, kNarrowestStrip), [&](size_t begin, size_t end) {
    const size_t floats = (end - begin) * blocks.width;
    const Buffer<float> past(reach * floats);  // rows that have been overwritten, as they were
    std::vector<const float*> row;
    std::vector<float> weight;
    for (size_t y = 0; y < height(); ++y) {
      float* here = points + (y * width() + begin) * blocks.width;
      std::copy(here, here + floats, past.data() + y % reach * floats);
      row.clear();
      weight.clear();
      for (size_t other = y - std::min(y, reach - 1); other < std::min(y + reach, height()); ++other) {
        const size_t distance = other < y ? y - other : other - y;
        row.push_back(other <= y ? past.data() + other % reach * floats
                                 : points + (other * width() + begin) * blocks.width);
        weight.push_back(taps_[distance] * rows_.before[other] * rows_.after[y] * factor);
      }
      loops().table.combine(row.data(), weight.data(), row.size(), here, floats);
    }
  });
}

void Grid::along_row(const float* points, float* out, const Blocks& blocks) const {
  const size_t margin = taps_.size() - 1;
  const Buffer<float> padded((width() + 2 * margin) * blocks.width);
  std::fill(padded.data(), padded.data() + margin * blocks.width, 0.0f);
  std::fill(padded.data() + (width() + margin) * blocks.width, padded.data() + padded.size(), 0.0f);
  const Scale scale = loops().table.scale[blocks.index];
  scale(points, columns_.before.data(), padded.data() + margin * blocks.width, width());
  std::vector<const float*> row(2 * margin + 1);
  std::vector<float> weight(2 * margin + 1);
  for (size_t k = 0; k < row.size(); ++k) {
    row[k] = padded.data() + k * blocks.width;
    weight[k] = taps_[k < margin ? margin - k : k - margin];
  }
  loops().table.combine(row.data(), weight.data(), row.size(), out, width() * blocks.width);
  scale(out, columns_.after.data(), out, width());
}

}  // namespace deeplab
