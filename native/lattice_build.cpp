// Building the lattice: which vertices there are, which points lie around each, and which vertices are neighbours.
#include <algorithm>
#include <cmath>
#include <mutex>
#include <stdexcept>

#include "lattice.hpp"

namespace deeplab {

namespace {

// Beyond this a float32 coordinate has fewer than four bits left for the position within its simplex.
constexpr double kLargestCoordinate = 1 << 20;

// A vertex has d + 1 integer coordinates that sum to zero and are all r modulo d + 1: its colour r, with one vertex of
// every colour in each simplex. Its first d coordinates divided by d + 1, rounded down, are its cell q.
//
// key = origin + sum of q[i] * step[i]. Where the cells fit in 64 bits, step is a mixed radix and different cells have
// different keys; else step is random, and two of n cells share a key with probability below n * n / 2**65. The key is
// linear, so all neighbours in one direction lie one constant apart.
struct Keys {
  std::vector<uint64_t> step;
  uint64_t origin = 0;
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
  const float deviation = float(std::sqrt(2.0 / 3.0) * double(d + 1));  // rounded here, as the reference program does
  for (size_t i = 0; i < d; ++i)
    scale[i] = float(1.0 / std::sqrt(double((i + 1) * (i + 2))) * double(deviation));
  return scale;
}

Keys make_keys(const float* features, size_t points, size_t d, const std::vector<float>& scale, Team& team) {
  std::vector<double> low(d, INFINITY), high(d, -INFINITY);
  std::mutex mutex;
  team.each(points, 8 * kPointGrain, [&](size_t begin, size_t end) {
    std::vector<float> least(features + begin * d, features + begin * d + d), most = least;
    float strange = 0;  // NaN once a feature is not finite
    for (size_t i = begin; i < end; ++i)
      for (size_t k = 0; k < d; ++k) {
        const float value = features[i * d + k];
        least[k] = std::min(least[k], value);
        most[k] = std::max(most[k], value);
        strange += value * 0.0f;
      }
    if (strange != 0.0f) throw std::invalid_argument("a feature is not finite");
    const std::lock_guard<std::mutex> lock(mutex);
    for (size_t k = 0; k < d; ++k) {
      low[k] = std::min(low[k], double(least[k]) * double(scale[k]));
      high[k] = std::max(high[k], double(most[k]) * double(scale[k]));
    }
  });

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
      combinations = std::min(combinations * (last - first + 1), 0x1p63);
    }
    if (j) {
      later_low += low[j - 1];
      later_high += high[j - 1];
    }
  }
  if (combinations >= 0x1p53) {  // no longer exact in double
    for (size_t j = 0; j < d; ++j) keys.step[j] = scramble(j) | 1;
    keys.origin = 0;
  }
  return keys;
}

// The vertices of one colour, numbered from 0 in the order of the first point around each: a hash table from key to
// number, with linear probing. A slot holds half the hash, so that most other keys are told apart without a look at them.
class Colour {
 public:
  void expect(size_t points) {
    size_t slots = 2;
    for (shift_ = 63; slots < points / 2; slots *= 2) --shift_;  // a guess; it grows as needed
    slots_ = free_slots(slots);
  }

  int32_t find(uint64_t key) const {
    const uint64_t hash = hash_of(key);
    for (size_t s = hash >> shift_;; s = (s + 1) & (slots_.size() - 1)) {
      const Slot slot = slots_[s];
      if (slot.vertex < 0 || (slot.tag == uint32_t(hash) && this->key[size_t(slot.vertex)] == key)) return slot.vertex;
    }
  }

  // Adds a vertex where the key is new.
  int32_t find_or_add(uint64_t key, uint32_t point) {
    const uint64_t hash = hash_of(key);
    size_t s = hash >> shift_;
    for (; slots_[s].vertex >= 0; s = (s + 1) & (slots_.size() - 1))
      if (slots_[s].tag == uint32_t(hash) && this->key[size_t(slots_[s].vertex)] == key) return slots_[s].vertex;
    slots_[s] = {uint32_t(hash), int32_t(this->key.size())};
    this->key.push_back(key);
    first_point.push_back(point);
    if (2 * this->key.size() > slots_.size()) grow();
    return int32_t(this->key.size() - 1);
  }

  void prefetch(uint64_t key) const { __builtin_prefetch(&slots_[hash_of(key) >> shift_]); }

  std::vector<uint64_t> key;          // of each vertex
  std::vector<uint32_t> first_point;  // of each vertex, ascending
  std::vector<uint32_t> entries;      // of each vertex: how many points lie around it
  std::vector<int32_t> number;        // of each vertex, in the whole lattice

 private:
  struct Slot {
    uint32_t tag;
    int32_t vertex;  // -1: free
  };

  static Buffer<Slot> free_slots(size_t count) {
    Buffer<Slot> slots(count);
    std::fill(slots.data(), slots.data() + count, Slot{0, -1});
    return slots;
  }

  static uint64_t hash_of(uint64_t key) { return (key ^ (key >> 29)) * 0xbf58476d1ce4e5b9u; }

  void grow() {
    slots_ = free_slots(2 * slots_.size());
    --shift_;
    for (size_t v = 0; v < key.size(); ++v) {
      const uint64_t hash = hash_of(key[v]);
      size_t s = hash >> shift_;
      while (slots_[s].vertex >= 0) s = (s + 1) & (slots_.size() - 1);
      slots_[s] = {uint32_t(hash), int32_t(v)};
    }
  }

  int shift_ = 64;
  Buffer<Slot> slots_;
};

// Numbers the vertices of all colours by the first point around each, so that what lies together in the image lies
// together in memory. Returns how many entries (pairs of a vertex and a point around it) come before each, and in all.
std::vector<uint32_t> number_vertices(std::vector<Colour>& colours, size_t points) {
  size_t vertices = 0;
  for (const Colour& colour : colours) vertices += colour.key.size();
  std::vector<uint32_t> first_entry(vertices + 1);
  std::vector<size_t> next(colours.size());
  for (Colour& colour : colours) colour.number.resize(colour.key.size());
  uint32_t number = 0;
  for (uint32_t i = 0; i < points; ++i)
    for (size_t r = 0; r < colours.size(); ++r) {
      Colour& colour = colours[r];
      if (next[r] == colour.key.size() || colour.first_point[next[r]] != i) continue;
      first_entry[number + 1] = first_entry[number] + colour.entries[next[r]];
      colour.number[next[r]++] = int32_t(number++);
    }
  return first_entry;
}

// Lists the chains along `axis`, as Blur wants them; lone vertices are left out. One step takes 1 from every coordinate
// and adds d + 1 to that of the axis, so colour r leads to r - 1, and 0 to d.
Buffer<int32_t> chains_along(size_t axis, const std::vector<Colour>& colours, size_t vertices, const Keys& keys) {
  constexpr size_t ahead = 12;
  const size_t d = keys.step.size();
  const uint64_t step = axis < d ? keys.step[axis] : 0;
  uint64_t all = 0;
  for (const uint64_t s : keys.step) all += s;
  // One place more, for the vertices that nothing follows: which do and which do not is hard to foretell, so no branches.
  const Buffer<int32_t> next(vertices), starts(vertices);
  const Buffer<uint8_t> has_previous(vertices + 1);
  std::fill(has_previous.data(), has_previous.data() + vertices + 1, uint8_t(0));
  size_t heads = 0, followers = 0;
  for (size_t r = 0; r <= d; ++r) {
    const Colour& from = colours[r];
    const Colour& to = colours[r ? r - 1 : d];
    const uint64_t delta = r ? step : step - all;
    for (size_t v = 0; v < from.key.size(); ++v) {
      if (v + ahead < from.key.size()) to.prefetch(from.key[v + ahead] + delta);
      const int32_t found = to.find(from.key[v] + delta);
      const int32_t there = to.number[size_t(std::max(found, 0))] | (found >> 31);  // -1: none
      next[size_t(from.number[v])] = there;
      has_previous[size_t(there + 1)] = 1;
      followers += found >= 0;
    }
  }
  for (size_t v = 0; v < vertices; ++v) {
    starts[heads] = int32_t(v);
    heads += int(!has_previous[v + 1]) & int(next[v] >= 0);
  }
  Buffer<int32_t> order(heads + followers);
  size_t place = 0;
  for (size_t h = 0; h < heads; ++h) {
    order[place++] = ~starts[h];
    for (int32_t n = next[size_t(starts[h])]; n >= 0; n = next[size_t(n)]) order[place++] = n;
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
  const Keys keys = make_keys(features, points, dimension, scale, team);

  Buffer<uint64_t> key(points * corners_);
  slice_weight_ = Buffer<float>(points * corners_);
  team.each(points, kPointGrain, [&](size_t begin, size_t end) {
    const Buffer<float> scratch(embed_scratch(dimension));
    loops().embed[dimension < kEmbedCount ? dimension : 0](
        dimension, features, scale.data(), keys.step.data(), keys.origin, points, key.data(), slice_weight_.data(),
        scratch.data(), begin, end);
  });

  // Each key gives way to its vertex's number among those of its colour.
  std::vector<Colour> colours(corners_);
  team.each(corners_, 1, [&](size_t r, size_t) {
    constexpr size_t ahead = 12;
    Colour& colour = colours[r];
    colour.expect(points);
    for (size_t i = 0; i < points; ++i) {
      if (i + ahead < points) colour.prefetch(key[r * points + i + ahead]);
      uint64_t& entry = key[r * points + i];
      const size_t v = size_t(colour.find_or_add(entry, uint32_t(i)));
      if (v == colour.entries.size()) colour.entries.push_back(0);
      ++colour.entries[v];
      entry = v;
    }
  });
  first_entry_ = number_vertices(colours, points);

  slice_vertex_ = Buffer<int32_t>(points * corners_);
  splat_point_ = Buffer<uint32_t>(points * corners_);
  splat_weight_ = Buffer<float>(points * corners_);
  team.each(corners_, 1, [&](size_t r, size_t) {
    const Colour& colour = colours[r];
    const Buffer<uint32_t> place(colour.key.size());
    for (size_t v = 0; v < place.size(); ++v) place[v] = first_entry_[size_t(colour.number[v])];
    for (size_t i = 0; i < points; ++i) {
      const size_t v = size_t(key[r * points + i]), corner = i * corners_ + r;
      const uint32_t e = place[v]++;
      slice_vertex_[corner] = colour.number[v];
      splat_point_[e] = uint32_t(i) | (e + 1 == first_entry_[size_t(colour.number[v]) + 1] ? kLastEntry : 0);
      splat_weight_[e] = slice_weight_[corner];
    }
  });
  key = Buffer<uint64_t>();

  chains_.resize(corners_);
  team.each(corners_, 1, [&](size_t axis, size_t) { chains_[axis] = chains_along(axis, colours, vertices(), keys); });
}

}  // namespace deeplab
