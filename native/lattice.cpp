#include "lattice.hpp"

#include <algorithm>
#include <cmath>

namespace deeplab {

namespace {

// Points transposed at a time, so that their rows stay in the first-level cache.
constexpr size_t kTransposed = 64;

}  // namespace

size_t Lattice::bytes() const {
  size_t words = vertex_.size() + weight_.size() + first_vertex_.size();
  for (const Chains& chains : chains_) words += chains.size;
  for (const Part& part : parts_) words += part.later.size();
  return 4 * words;
}

float Lattice::slice_scale() const { return 1.0f / (1.0f + std::ldexp(1.0f, -int(dimension()))); }

void Lattice::splat(const float* points, const float* before, float* vertices, int width_index, Team& team) const {
  team.each(parts_.size(), 1, [&](size_t p, size_t) {
    const Part& part = parts_[p];
    const SplatPart what{part.first_group, part.last_group, part.later.data(), part.later.size() - 1};
    loops().lattice.splat[width_index](corners(), first_vertex_.data(), what, before, points, vertices, points_);
  });
}

void Lattice::blur(float* vertices, int width_index, bool reverse, Team& team) const {
  const Blur loop = loops().lattice.blur[width_index];
  for (size_t k = 0; k < corners_; ++k) {
    const Chains& chains = chains_[reverse ? corners_ - 1 - k : k];
    team.each(chains.size, kChainGrain,
              [&](size_t begin, size_t end) { loop(chains.order, chains.size, vertices, begin, end); });
  }
}

void Lattice::slice(const float* vertices, float factor, const float* after, float* points, bool add, int width_index,
                    size_t begin, size_t end) const {
  loops().lattice.slice[width_index](corners(), factor * slice_scale(), after, vertices, points, add, begin, end);
}

void Lattice::add_total(float factor, const float* before, const float* after, float* out, Team& team) const {
  const Buffer<float> ones(before ? 0 : points_), vertex_rows(vertices());
  std::fill(ones.data(), ones.data() + ones.size(), 1.0f);
  splat(before ? before : ones.data(), nullptr, vertex_rows.data(), 0, team);
  blur(vertex_rows.data(), 0, false, team);
  team.each(points_, kPointGrain,
            [&](size_t begin, size_t end) { slice(vertex_rows.data(), factor, after, out, true, 0, begin, end); });
}

void Lattice::filter(const float* in, float* out, size_t channels, bool reverse, Team& team) const {
  const Blocks blocks(channels);
  const Buffer<float> rows(points_ * blocks.width), vertex_rows(vertices() * blocks.width);
  std::vector<const float*> from(blocks.padded());
  std::vector<float*> to(channels);
  for (size_t c = 0; c < channels; ++c) {
    from[c] = in + c * points_;
    to[c] = out + c * points_;
  }
  for (size_t b = 0; b < blocks.blocks; ++b) {
    team.each(points_, kPointGrain,
              [&](size_t begin, size_t end) { gather_rows(from.data(), blocks, b, 0.0f, rows.data(), begin, end); });
    splat(rows.data(), nullptr, vertex_rows.data(), blocks.index, team);
    blur(vertex_rows.data(), blocks.index, reverse, team);
    team.each(points_, kPointGrain, [&](size_t begin, size_t end) {
      slice(vertex_rows.data(), 1.0f, nullptr, rows.data(), false, blocks.index, begin, end);
      scatter_rows(rows.data(), blocks, b, to.data(), begin, end);
    });
  }
}

Blocks::Blocks(size_t channels_)
    : channels(channels_), blocks((channels_ + kMaxWidth - 1) / kMaxWidth), width(1), index(0) {
  if (blocks == 0) return;
  const size_t wanted = (channels + blocks - 1) / blocks;
  while (size_t(kWidths[index]) < wanted) ++index;
  width = size_t(kWidths[index]);
}

void gather_rows(const float* const* planes, const Blocks& blocks, size_t block, float pad, float* rows, size_t begin,
                 size_t end) {
  for (size_t start = begin; start < end; start += kTransposed)
    for (size_t c = 0; c < blocks.width; ++c) {
      const float* plane = planes[block * blocks.width + c];
      for (size_t i = start; i < std::min(start + kTransposed, end); ++i)
        rows[i * blocks.width + c] = plane ? plane[i] : pad;
    }
}

void scatter_rows(const float* rows, const Blocks& blocks, size_t block, float* const* planes, size_t begin,
                  size_t end) {
  const size_t channels = std::min(blocks.width, blocks.channels - block * blocks.width);
  for (size_t start = begin; start < end; start += kTransposed)
    for (size_t c = 0; c < channels; ++c) {
      float* plane = planes[block * blocks.width + c];
      for (size_t i = start; i < std::min(start + kTransposed, end); ++i) plane[i] = rows[i * blocks.width + c];
    }
}

}  // namespace deeplab
