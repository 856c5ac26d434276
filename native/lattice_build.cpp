// Building the lattice: which vertices there are, which points lie around each, and which vertices are neighbours.
#include <algorithm>
#include <cmath>
#include <mutex>
#include <numeric>
#include <stdexcept>

#include "lattice.hpp"
#include "vertex_set.hpp"

namespace deeplab {

namespace {

// Beyond this a float32 coordinate has fewer than four bits left for the position within its simplex.
constexpr double kLargestCoordinate = 1 << 20;

// Points whose keys are held at a time: those of one colour stay in the second-level cache. A multiple of
// kGroupedPoints.
constexpr size_t kEmbeddedPoints = 1 << 15;

// How many corners lie at which vertices is estimated for bins of vertices, so many, from one of so many corners: no
// likely number of corners divides it.
constexpr size_t kBins = 1024;
constexpr size_t kSampledCorners = 31;
// Clearing a vertex and fetching it for the first time takes as long as adding to it so many times.
constexpr size_t kVertexWork = 6;

// Vertices whose chains are put in the order of their lengths, up to this length.
constexpr size_t kSortedTogether = 16384;
constexpr size_t kLongChain = 8;

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
  for (size_t i = 0; i < d; ++i) scale[i] = float(1.0 / std::sqrt(double((i + 1) * (i + 2))) * double(deviation));
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

// The vertices of one colour. It shares no cache line with the next one, which another thread may be filling.
struct alignas(128) Colour {
  Colour(uint64_t* slots, size_t slot_count) : set(slots, slot_count) {}

  // Finds the vertices of `count` more points, of which it has the keys.
  void add(const uint64_t* key, size_t count, int32_t* vertex) {
    constexpr size_t ahead = 12;
    for (size_t i = 0; i < count; ++i) {
      if (i % kGroupedPoints == 0) before_group.push_back(uint32_t(set.size()));
      if (i + ahead < count) set.prefetch(key[i + ahead]);
      vertex[i] = set.find_or_add(key[i]);
    }
  }

  // Puts the vertices in the order of their keys; no more can be added.
  void sort() { sorted = std::move(set).sort(std::move(number)); }

  VertexSet set;
  std::vector<uint32_t> before_group;  // of each group of points: how many vertices came before
  Buffer<int32_t> number;              // of each vertex, in the whole lattice
  SortedVertices sorted;
};

// Numbers the vertices of all colours by the first group of points around each, so that what lies together in the image
// lies together in memory. Returns the first vertex of each group, and at the end how many there are.
std::vector<int32_t> number_vertices(std::vector<Colour>& colours) {
  for (Colour& colour : colours) {
    colour.before_group.push_back(uint32_t(colour.set.size()));
    colour.number = Buffer<int32_t>(colour.set.size());
  }
  std::vector<int32_t> first_vertex;
  int32_t number = 0;
  for (size_t group = 0; group + 1 < colours[0].before_group.size(); ++group) {
    first_vertex.push_back(number);
    for (Colour& colour : colours)
      for (size_t v = colour.before_group[group]; v < colour.before_group[group + 1]; ++v) colour.number[v] = number++;
  }
  first_vertex.push_back(number);
  return first_vertex;
}

// Which vertex follows each along an axis, and whether one comes before it.
struct Links {
  explicit Links(size_t vertices) : next(vertices), has_previous(vertices + 1) {}
  Buffer<int32_t> next;
  Buffer<uint8_t> has_previous;  // one place more, for the vertices that nothing follows
};

// next[number] = the number of the vertex that lies `delta` further, or -1; has_previous[number + 1] = 1 for that one.
void link(const SortedVertices& from, const SortedVertices& to, uint64_t delta, int32_t* next, uint8_t* has_previous) {
  const uint64_t *from_key = from.key.data(), *to_key = to.key.data();
  const int32_t *from_number = from.number.data(), *to_number = to.number.data();
  const size_t wraps = size_t(std::lower_bound(from_key, from_key + from.size, 0 - delta) - from_key), last = to.size;
  size_t there = 0;
  const auto merge = [=, &there](size_t here, size_t last_here) {
    size_t other = there;
    while (here < last_here && other < last) {  // which of the two is behind is hard to foresee: no branches
      const uint64_t wanted = from_key[here] + delta, found = to_key[other];
      const int32_t number = wanted == found ? to_number[other] : -1;
      next[from_number[here]] = number;
      has_previous[number + 1] = 1;
      here += wanted <= found;
      other += found <= wanted;
    }
    for (; here < last_here; ++here) next[from_number[here]] = -1;
    there = other;
  };
  merge(wraps, from.size);  // keys are modulo 2**64: those that wrap around come first
  merge(0, wraps);
}

// Lists the chains along `axis` in `order`, as Blur wants them, and returns its size; lone vertices are left out. One
// step takes 1 from every coordinate and adds d + 1 to that of the axis, so colour r leads to r - 1, and 0 to d.
// `links` is room to work in.
size_t chains_along(size_t axis, const std::vector<Colour>& colours, size_t vertices, const Keys& keys,
                    const Links& links, int32_t* order) {
  const size_t d = keys.step.size();
  const uint64_t step = axis < d ? keys.step[axis] : 0;
  uint64_t all = 0;
  for (const uint64_t s : keys.step) all += s;
  const auto& [next, has_previous] = links;
  std::fill(has_previous.data(), has_previous.data() + vertices + 1, uint8_t(0));
  for (size_t r = 0; r <= d; ++r)
    link(colours[r].sorted, colours[r ? r - 1 : d].sorted, r ? step : step - all, next.data(), has_previous.data());
  // Among chains that start near each other those of one length follow each other: their ends are then foreseen.
  std::vector<int32_t> heads(kSortedTogether), of_length[kLongChain + 1];
  size_t place = 0;
  for (size_t first = 0; first < vertices; first += kSortedTogether) {
    size_t count = 0;
    for (size_t v = first; v < std::min(first + kSortedTogether, vertices); ++v) {
      heads[count] = int32_t(v);
      count += size_t(!has_previous[v + 1] & (next[v] >= 0));
    }
    for (size_t h = 0; h < count; ++h) {
      size_t length = 1;
      for (int32_t n = next[size_t(heads[h])]; n >= 0 && length < kLongChain; n = next[size_t(n)]) ++length;
      of_length[length].push_back(heads[h]);
    }
    for (auto& starts : of_length) {
      for (const int32_t start : starts) {
        order[place++] = ~start;
        for (int32_t n = next[size_t(start)]; n >= 0; n = next[size_t(n)]) order[place++] = n;
      }
      starts.clear();
    }
  }
  return place;
}

}  // namespace

// What is known of the vertices only while the lattice is built.
struct Lattice::Building {
  Building(const float* features, size_t points, size_t d, Team& team)
      : scale(axis_scales(d)), keys(make_keys(features, points, d, scale, team)) {
    const size_t slot_count = VertexSet::slots_for(points, d);
    slots = Buffer<uint64_t>((d + 1) * slot_count);
    colours.reserve(d + 1);
    for (size_t r = 0; r <= d; ++r) colours.emplace_back(slots.data() + r * slot_count, slot_count);
  }

  std::vector<float> scale;
  Keys keys;
  Buffer<uint64_t> slots;  // of all colours together, in few pages
  std::vector<Colour> colours;
};

Lattice::Lattice(const float* features, size_t points, size_t dimension, Team& team)
    : points_(points), corners_(dimension + 1) {
  if (points == 0 || dimension == 0)
    throw std::invalid_argument("the lattice needs at least one point and one feature");
  // Entries and vertices are counted in 31 bits: one bit of a vertex marks the start of a chain.
  if (points > size_t(INT32_MAX) / corners_) throw std::invalid_argument("too many points for one lattice");
  Building building(features, points, dimension, team);
  find_corners(features, building, team);
  first_vertex_ = number_vertices(building.colours);
  number_corners(building, team);
  divide_splat(team);
  team.each(corners_, 1, [&](size_t r, size_t) { building.colours[r].sort(); });
  building.slots = Buffer<uint64_t>();
  list_chains(building, team);
}

// The corners of each point as numbers of vertices among those of their colour; of their keys only some at a time.
void Lattice::find_corners(const float* features, Building& building, Team& team) {
  const auto& [step, origin] = building.keys;
  const size_t d = dimension(), most = std::min(points_, kEmbeddedPoints);
  const Embed embed = loops().embed[d < kEmbedCount ? d : 0];
  vertex_ = Buffer<int32_t>(points_ * corners_);
  weight_ = Buffer<float>(points_ * corners_);
  const Buffer<uint64_t> key(most * corners_);
  const Buffer<int32_t> found(most * corners_);  // colour after colour
  for (size_t first = 0; first < points_; first += most) {
    const size_t count = std::min(points_ - first, most);
    team.each(count, kPointGrain, [&, step = step.data(), origin = origin](size_t begin, size_t end) {
      const Buffer<float> scratch(embed_scratch(d));
      const size_t point = first + begin;
      embed(d, features + point * d, building.scale.data(), step, origin, key.data() + begin, count,
            weight_.data() + point * corners_, scratch.data(), end - begin);
    });
    team.each(corners_, 1, [&](size_t r, size_t) {
      building.colours[r].add(key.data() + r * count, count, found.data() + r * count);
    });
    team.each(count, kPointGrain, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i)
        for (size_t r = 0; r < corners_; ++r) vertex_[(first + i) * corners_ + r] = found[r * count + i];
    });
  }
}

// Gives the corners their vertices' numbers in the whole lattice.
void Lattice::number_corners(const Building& building, Team& team) {
  team.each(points_, kPointGrain, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i)
      for (size_t r = 0; r < corners_; ++r) {
        int32_t& vertex = vertex_[i * corners_ + r];
        vertex = building.colours[r].number[size_t(vertex)];
      }
  });
}

// Lists the chains of all axes; each thread those of some, one after the other.
void Lattice::list_chains(const Building& building, Team& team) {
  chains_.resize(corners_);
  order_.resize(team.size());
  team.each(team.size(), 1, [&](size_t thread, size_t) {
    const Links links(vertices());
    // Only so much of it takes memory as is then in use.
    order_[thread] = Buffer<int32_t>((corners_ + team.size() - 1) / team.size() * vertices());
    int32_t* place = order_[thread].data();
    for (size_t axis = thread; axis < corners_; axis += team.size()) {
      chains_[axis] = {place, chains_along(axis, building.colours, vertices(), building.keys, links, place)};
      place += chains_[axis].size;
    }
  });
}

// Each thread takes some groups of points and the vertices that are numbered by them. So it finds both in its cache,
// and every vertex adds up its points in the same order whatever the number of threads. All parts are about as much
// work, but where most vertices are those of a few groups.
void Lattice::divide_splat(Team& team) {
  const size_t per_bin = vertices() / kBins + 1;
  std::vector<size_t> before(vertices() / per_bin + 2);  // corners at vertices before each bin
  for (size_t k = 0; k < vertex_.size(); k += kSampledCorners)
    before[size_t(vertex_[k]) / per_bin + 1] += kSampledCorners;
  std::partial_sum(before.begin(), before.end(), before.begin());
  std::vector<size_t> work;  // before each group
  for (const int32_t v : first_vertex_) work.push_back(before[size_t(v) / per_bin] + kVertexWork * size_t(v));
  parts_.resize(team.size());
  team.each(team.size(), 1, [&](size_t p, size_t) {
    const auto group_of = [&](size_t part) {
      return size_t(std::upper_bound(work.begin(), work.end(), work.back() * part / team.size()) - work.begin()) - 1;
    };
    const size_t first_group = group_of(p), last_group = group_of(p + 1);
    const int32_t first = first_vertex_[first_group], last = first_vertex_[last_group];
    const size_t begin = std::min(last_group * kGroupedPoints, points_) * corners_;
    const auto is_ours = [&](size_t k) { return (vertex_[k] >= first) & (vertex_[k] < last); };
    size_t count = 0;
    for (size_t k = begin; k < vertex_.size(); ++k) count += is_ours(k);
    Buffer<int32_t> later(count + 1);
    count = 0;
    for (size_t k = begin; k < vertex_.size(); ++k) {  // whose a corner is is hard to foresee: no branches
      later[count] = int32_t(k);
      count += is_ours(k);
    }
    parts_[p] = {first_group, last_group, std::move(later)};
  });
}

}  // namespace deeplab
