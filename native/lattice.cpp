#include "lattice.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <type_traits>

namespace deeplab {

namespace {

// Beyond this a float32 coordinate has fewer than four bits left for the position within its simplex.
constexpr double kLargestCoordinate = 1 << 20;

// Points transposed at a time, so that their rows stay in the first-level cache.
constexpr size_t kTransposed = 64;

// A vertex has d + 1 integer coordinates that sum to zero and are all r modulo d + 1: its colour r, with one vertex of
// every colour in each simplex. Its first d coordinates divided by d + 1, rounded down, are its cell q.
//
// key = sum of q[i] * step[i]. Where the cells fit in 64 bits, step is a mixed radix and different cells have different
// keys; else step is random, and two of n cells share a key with probability below n * n / 2**65. The key is linear, so
// all neighbours in one direction lie one constant apart, and a sorted list meets its neighbours in one pass.
struct Keys {
  std::vector<uint64_t> step;
  uint64_t origin = 0;
  int bits = 64;
};

uint64_t scramble(uint64_t x) {  // splitmix64, for steps that look random
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// Axis i of the embedding is stretched so that the blur of a lattice with unit spacing has unit standard deviation.
std::vector<float> axis_scales(size_t d) {
  std::vector<float> scale(d);
  for (size_t i = 0; i < d; ++i) {
    const double deviation = std::sqrt(2.0 / 3.0) * double(d + 1);
    scale[i] = float(deviation / std::sqrt(double((i + 1) * (i + 2))));
  }
  return scale;
}

Keys make_keys(const float* features, size_t points, size_t d, const std::vector<float>& scale) {
  std::vector<double> low(d), high(d);
  for (size_t k = 0; k < d; ++k) low[k] = high[k] = double(features[k]);
  for (size_t i = 0; i < points; ++i)
    for (size_t k = 0; k < d; ++k) {
      const double value = double(features[i * d + k]);
      if (!std::isfinite(value)) throw std::invalid_argument("a feature is not finite");
      low[k] = std::min(low[k], value);
      high[k] = std::max(high[k], value);
    }
  for (size_t k = 0; k < d; ++k) {
    low[k] *= double(scale[k]);
    high[k] *= double(scale[k]);
  }

  // Interval arithmetic over the embedding: coordinate j is the sum of the later axes minus j times the one before.
  Keys keys;
  keys.step.resize(d);
  double combinations = 1;
  double later_low = 0, later_high = 0;
  for (size_t j = d + 1; j-- > 0;) {
    const double lowest = later_low - (j ? double(j) * high[j - 1] : 0);
    const double highest = later_high - (j ? double(j) * low[j - 1] : 0);
    if (std::max(-lowest, highest) > kLargestCoordinate)
      throw std::invalid_argument("features span too many standard deviations for the lattice");
    if (j < d) {
      // Rounding, the way to the nearest simplex and its neighbours reach less than four cells further.
      const double first = std::floor(lowest / double(d + 1)) - 4, last = std::ceil(highest / double(d + 1)) + 4;
      keys.step[j] = uint64_t(combinations);
      keys.origin -= uint64_t(int64_t(first)) * keys.step[j];
      combinations = std::min(combinations * (last - first + 1), 0x1p64);
    }
    if (j) {
      later_low += low[j - 1];
      later_high += high[j - 1];
    }
  }
  if (combinations < 0x1p53) {  // exact in double
    keys.bits = 1;
    while (std::ldexp(1.0, keys.bits) < combinations) ++keys.bits;
  } else {
    for (size_t j = 0; j < d; ++j) keys.step[j] = scramble(j) | 1;
    keys.origin = 0;
  }
  return keys;
}

// One value per corner of a simplex; an array where the dimension is a constant, so that it can live in registers.
template <class T, class Size>
struct PerCorner {
  explicit PerCorner(Size) {}
  T& operator[](size_t i) { return values[i]; }
  T values[Size::value + 1];
};
template <class T>
struct PerCorner<T, size_t> {
  explicit PerCorner(size_t d) : values(d + 1) {}
  T& operator[](size_t i) { return values[i]; }
  std::vector<T> values;
};

// Finds the simplex around each point: the key of its d + 1 vertices (key[r * points + i], colour by colour) and the
// point's barycentric weights. float32 throughout, each sum in one fixed order. `Size` is a constant for common d.
template <class Size>
void embed(Size d, const float* features, const std::vector<float>& scale, const Keys& keys, size_t points,
           uint64_t* key, float* weight, size_t begin, size_t end) {
  constexpr float round = 12582912.0f;  // adding and subtracting it rounds half to even
  const size_t corners = d + 1;
  const float down = 1.0f / float(corners), up = float(corners);
  PerCorner<float, Size> elevated(d), cell(d), offset(d), sorted(d);
  PerCorner<int, Size> rank(d);
  PerCorner<uint64_t, Size> step_of_rank(d);
  for (size_t i = begin; i < end; ++i) {
    const float* feature = features + i * d;
    float later = 0;
    for (size_t j = d; j > 0; --j) {
      const float along = feature[j - 1] * scale[j - 1];
      elevated[j] = later - float(j) * along;
      later += along;
    }
    elevated[0] = later;

    int excess = 0;
    for (size_t j = 0; j < corners; ++j) {
      cell[j] = (elevated[j] * down + round) - round;
      excess += int(cell[j]);
      offset[j] = elevated[j] - cell[j] * up;
      rank[j] = 0;
    }
    for (size_t j = 0; j < d; ++j)
      for (size_t k = j + 1; k < corners; ++k) {
        const bool below = offset[j] < offset[k];
        rank[j] += below;
        rank[k] += !below;
      }
    // Rounding may have left the plane of zero sum: the coordinates rounded furthest go back by one cell.
    uint64_t here = keys.origin;
    for (size_t j = 0; j < corners; ++j) {
      rank[j] += excess;
      const int wrap = rank[j] < 0 ? 1 : (rank[j] > int(d) ? -1 : 0);
      rank[j] += wrap * int(corners);
      cell[j] += float(wrap);
      sorted[size_t(rank[j])] = (elevated[j] - cell[j] * up) * down;
      const uint64_t step = j < d ? keys.step[j] : 0;
      here += uint64_t(int64_t(cell[j])) * step;
      step_of_rank[size_t(rank[j])] = step;
    }
    for (size_t r = 0; r < corners; ++r) {
      key[r * points + i] = here;
      weight[i * corners + r] = r ? sorted[d - r] - sorted[d - r + 1] : sorted[d] + (1.0f - sorted[0]);
      here -= step_of_rank[d - r];
    }
  }
}

// The vertices of one colour: sorted keys, the points around each (point[first[v]] to point[first[v + 1] - 1], in
// order), and their numbers in the lattice.
struct Colour {
  std::vector<uint64_t> key;
  std::vector<uint32_t> first;
  Buffer<uint32_t> point;
  std::vector<int32_t> vertex;
};

// A stable radix sort of the points' keys, all below 2**bits.
Colour vertices_of_colour(const uint64_t* keys, size_t points, int bits) {
  constexpr int digit = 11;
  Buffer<uint64_t> key(points), other_key(points);
  Buffer<uint32_t> point(points), other_point(points);
  for (size_t i = 0; i < points; ++i) {
    key[i] = keys[i];
    point[i] = uint32_t(i);
  }
  for (int shift = 0; shift < bits; shift += digit) {
    size_t place[1 << digit] = {};
    const auto bucket = [shift](uint64_t k) { return (k >> shift) & ((1 << digit) - 1); };
    for (size_t i = 0; i < points; ++i) ++place[bucket(key[i])];
    size_t sum = 0;
    for (size_t& p : place) {
      const size_t count = p;
      p = sum;
      sum += count;
    }
    for (size_t i = 0; i < points; ++i) {
      const size_t p = place[bucket(key[i])]++;
      other_key[p] = key[i];
      other_point[p] = point[i];
    }
    std::swap(key, other_key);
    std::swap(point, other_point);
  }
  Colour colour;
  for (size_t i = 0; i < points; ++i)
    if (i == 0 || key[i] != key[i - 1]) {
      colour.key.push_back(key[i]);
      colour.first.push_back(uint32_t(i));
    }
  colour.first.push_back(uint32_t(points));
  colour.point = std::move(point);
  return colour;
}

// Numbers the vertices by the first point around each, so that what lies together in the image lies together in memory.
// Returns how many entries (pairs of a vertex and a point around it) come before each vertex, and in all.
std::vector<uint32_t> number_vertices(std::vector<Colour>& colours, size_t points) {
  std::vector<uint32_t> place(points + 1);
  for (const Colour& colour : colours)
    for (size_t v = 0; v < colour.key.size(); ++v) ++place[colour.point[colour.first[v]] + 1];
  for (size_t i = 0; i < points; ++i) place[i + 1] += place[i];
  std::vector<uint32_t> first_entry(place[points] + 1);
  for (Colour& colour : colours) {
    colour.vertex.resize(colour.key.size());
    for (size_t v = 0; v < colour.key.size(); ++v) {
      const uint32_t id = place[colour.point[colour.first[v]]]++;
      colour.vertex[v] = int32_t(id);
      first_entry[id + 1] = colour.first[v + 1] - colour.first[v];
    }
  }
  for (size_t v = 0; v + 1 < first_entry.size(); ++v) first_entry[v + 1] += first_entry[v];
  return first_entry;
}

// The vertex that follows each along `axis` (-1: none). One step takes 1 from every coordinate and adds d + 1 to that of
// the axis, so colour r leads to r - 1, and 0 to d.
std::vector<int32_t> next_along(size_t axis, const std::vector<Colour>& colours, size_t vertices, const Keys& keys) {
  const size_t d = keys.step.size();
  const uint64_t ahead = axis < d ? keys.step[axis] : 0;
  uint64_t all = 0;
  for (const uint64_t step : keys.step) all += step;
  std::vector<int32_t> next(vertices, -1);
  for (size_t r = 0; r <= d; ++r) {
    const Colour& from = colours[r];
    const Colour& to = colours[r ? r - 1 : d];
    const uint64_t delta = r ? ahead : ahead - all;
    uint64_t last_wanted = 0;
    for (size_t v = 0, t = 0; v < from.key.size(); ++v) {
      const uint64_t wanted = from.key[v] + delta;
      if (wanted < last_wanted) t = 0;  // keys count modulo 2**64
      last_wanted = wanted;
      while (t < to.key.size() && to.key[t] < wanted) ++t;
      if (t < to.key.size() && to.key[t] == wanted) next[size_t(from.vertex[v])] = to.vertex[t];
    }
  }
  return next;
}

std::vector<int32_t> chains_of(const std::vector<int32_t>& next) {
  std::vector<bool> has_previous(next.size());
  size_t length = 0;
  for (const int32_t n : next)
    if (n >= 0) has_previous[size_t(n)] = true;
  for (size_t v = 0; v < next.size(); ++v) length += has_previous[v] || next[v] >= 0;
  std::vector<int32_t> order;
  order.reserve(length);
  for (size_t v = 0; v < next.size(); ++v) {
    if (has_previous[v] || next[v] < 0) continue;
    order.push_back(~int32_t(v));
    for (int32_t n = next[v]; n >= 0; n = next[size_t(n)]) order.push_back(n);
  }
  return order;
}

}  // namespace

Lattice::Lattice(const float* features, size_t points, size_t dimension, Team& team)
    : points_(points), corners_(dimension + 1) {
  if (points == 0 || dimension == 0) throw std::invalid_argument("the lattice needs at least one point and one feature");
  // Entries and vertices are counted in 31 bits: one bit of a vertex marks the start of a chain.
  if (points > size_t(INT32_MAX) / corners_) throw std::invalid_argument("too many points for one lattice");
  const auto scale = axis_scales(dimension);
  const Keys keys = make_keys(features, points, dimension, scale);

  Buffer<uint64_t> key(points * corners_);
  slice_weight_ = Buffer<float>(points * corners_);
  team.each(points, kPointGrain, [&](size_t begin, size_t end) {
    const auto run = [&](auto d) {
      embed(d, features, scale, keys, points, key.data(), slice_weight_.data(), begin, end);
    };
    switch (dimension) {
      case 2: return run(std::integral_constant<size_t, 2>());
      case 3: return run(std::integral_constant<size_t, 3>());
      case 5: return run(std::integral_constant<size_t, 5>());
      default: return run(dimension);
    }
  });

  // Sorting the points of each colour by key brings those together that splat onto the same vertex.
  std::vector<Colour> colours(corners_);
  team.each(corners_, 1, [&](size_t r, size_t) { colours[r] = vertices_of_colour(key.data() + r * points, points, keys.bits); });
  key = Buffer<uint64_t>();
  first_entry_ = number_vertices(colours, points);

  slice_vertex_ = Buffer<int32_t>(points * corners_);
  splat_point_ = Buffer<uint32_t>(points * corners_);
  splat_weight_ = Buffer<float>(points * corners_);
  team.each(corners_, 1, [&](size_t r, size_t) {
    const Colour& colour = colours[r];
    for (size_t v = 0; v < colour.key.size(); ++v) {
      size_t e = first_entry_[size_t(colour.vertex[v])];
      for (size_t i = colour.first[v]; i < colour.first[v + 1]; ++i, ++e) {
        const size_t corner = size_t(colour.point[i]) * corners_ + r;
        slice_vertex_[corner] = colour.vertex[v];
        splat_point_[e] = colour.point[i];
        splat_weight_[e] = slice_weight_[corner];
      }
    }
  });

  chains_.resize(corners_);
  team.each(corners_, 1, [&](size_t axis, size_t) {
    chains_[axis] = chains_of(next_along(axis, colours, vertices(), keys));
  });
}

size_t Lattice::bytes() const {
  size_t words = slice_vertex_.size() + slice_weight_.size() + first_entry_.size() + splat_point_.size() + splat_weight_.size();
  for (const auto& chain : chains_) words += chain.size();
  return 4 * words;
}

float Lattice::slice_scale() const { return 1.0f / (1.0f + std::ldexp(1.0f, -int(dimension()))); }

void Lattice::splat(const float* rows, const float* weight, float* vertices, int width_index, Team& team) const {
  const Splat loop = select_rows().splat[width_index];
  team.each(this->vertices(), kVertexGrain, [&](size_t begin, size_t end) {
    loop(first_entry_.data(), splat_point_.data(), weight, rows, vertices, begin, end);
  });
}

void Lattice::blur(float* vertices, int width_index, bool reverse, Team& team) const {
  const Blur loop = select_rows().blur[width_index];
  for (size_t k = 0; k < corners_; ++k) {
    const auto& order = chains_[reverse ? corners_ - 1 - k : k];
    team.each(order.size(), kVertexGrain, [&](size_t begin, size_t end) {
      loop(order.data(), order.size(), vertices, begin, end);
    });
  }
}

void Lattice::slice(const float* vertices, const float* scale, float* rows, bool add, int width_index, size_t begin,
                    size_t end) const {
  select_rows().slice[width_index](slice_vertex_.data(), slice_weight_.data(), corners_, scale, vertices, rows, add,
                                   begin, end);
}

void Lattice::filter(const float* in, float* out, size_t channels, bool reverse, Team& team) const {
  const Blocks blocks(channels);
  const Buffer<float> rows(points_ * blocks.width), vertex_rows(vertices() * blocks.width);
  const std::vector<float> scale(points_, slice_scale());
  for (size_t b = 0; b < blocks.blocks; ++b) {
    team.each(points_, kPointGrain, [&](size_t begin, size_t end) {
      gather_rows(in, blocks, b, points_, 0.0f, rows.data(), begin, end);
    });
    splat(rows.data(), splat_weight_.data(), vertex_rows.data(), blocks.index, team);
    blur(vertex_rows.data(), blocks.index, reverse, team);
    team.each(points_, kPointGrain, [&](size_t begin, size_t end) {
      slice(vertex_rows.data(), scale.data(), rows.data(), false, blocks.index, begin, end);
      scatter_rows(rows.data(), blocks, b, points_, out, begin, end);
    });
  }
}

Blocks::Blocks(size_t channels_) : channels(channels_), blocks((channels_ + kMaxWidth - 1) / kMaxWidth), width(1), index(0) {
  if (blocks == 0) return;
  const size_t wanted = (channels + blocks - 1) / blocks;
  while (size_t(kWidths[index]) < wanted) ++index;
  width = size_t(kWidths[index]);
}

void gather_rows(const float* table, const Blocks& blocks, size_t block, size_t points, float pad, float* rows,
                 size_t begin, size_t end) {
  for (size_t start = begin; start < end; start += kTransposed)
    for (size_t c = 0; c < blocks.width; ++c) {
      const size_t channel = block * blocks.width + c;
      for (size_t i = start; i < std::min(start + kTransposed, end); ++i)
        rows[i * blocks.width + c] = channel < blocks.channels ? table[channel * points + i] : pad;
    }
}

void scatter_rows(const float* rows, const Blocks& blocks, size_t block, size_t points, float* table, size_t begin,
                  size_t end) {
  const size_t channels = std::min(blocks.width, blocks.channels - block * blocks.width);
  for (size_t start = begin; start < end; start += kTransposed)
    for (size_t c = 0; c < channels; ++c)
      for (size_t i = start; i < std::min(start + kTransposed, end); ++i)
        table[(block * blocks.width + c) * points + i] = rows[i * blocks.width + c];
}

}  // namespace deeplab
