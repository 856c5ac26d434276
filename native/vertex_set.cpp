#include "vertex_set.hpp"

#include <algorithm>

namespace deeplab {

namespace {

// Keys are sorted by this many bits at a time: few passes, and counts that stay in the first-level cache.
constexpr int kDigitBits = 11;
constexpr size_t kDigits = size_t(1) << kDigitBits;

}  // namespace

VertexSet::VertexSet(size_t points) {
  size_t slots = 2;
  while (slots < points / 2) slots *= 2;
  clear(slots);
}

void VertexSet::clear(size_t slots) {
  slots_ = Buffer<Slot>(slots);
  std::fill(slots_.data(), slots_.data() + slots, Slot{0, -1});
  for (shift_ = 64; slots > 1; slots /= 2) --shift_;
}

int32_t VertexSet::add(uint64_t key, size_t slot) {
  const auto number = int32_t(keys_.size());
  slots_[slot] = {uint32_t(hash_of(key)), number};
  keys_.push_back(key);
  if (2 * keys_.size() <= slots_.size()) return number;
  clear(2 * slots_.size());
  for (size_t v = 0; v < keys_.size(); ++v) {
    const uint64_t hash = hash_of(keys_[v]);
    size_t s = hash >> shift_;
    while (slots_[s].number >= 0) s = (s + 1) & (slots_.size() - 1);
    slots_[s] = {uint32_t(hash), int32_t(v)};
  }
  return number;
}

std::vector<Vertex> VertexSet::sorted(const std::vector<int32_t>& number) const {
  std::vector<Vertex> vertices(keys_.size()), other(keys_.size());
  uint64_t differing = 0;
  for (size_t v = 0; v < keys_.size(); ++v) {
    vertices[v] = {keys_[v], number[v]};
    differing |= keys_[v] ^ keys_[0];
  }
  for (int shift = 0; shift < 64 && differing >> shift; shift += kDigitBits) {
    size_t place[kDigits + 1] = {};
    for (const Vertex& vertex : vertices) ++place[(vertex.key >> shift) % kDigits + 1];
    for (size_t digit = 1; digit < kDigits; ++digit) place[digit] += place[digit - 1];
    for (const Vertex& vertex : vertices) other[place[(vertex.key >> shift) % kDigits]++] = vertex;
    vertices.swap(other);
  }
  return vertices;
}

}  // namespace deeplab
