#include "vertex_set.hpp"

#include <algorithm>
#include <utility>

namespace deeplab {

namespace {

// Keys are sorted by this many bits at a time: few passes, and counts that stay in the first-level cache.
constexpr int kDigitBits = 11;
constexpr size_t kDigits = size_t(1) << kDigitBits;

}  // namespace

VertexSet::VertexSet(size_t points) {
  size_t slots = 4;
  while (slots < points / 4) slots *= 2;
  grow(slots);
}

void VertexSet::grow(size_t slots) {
  Buffer<uint64_t> keys(slots / 4 * 3);
  std::copy(keys_.data(), keys_.data() + size_, keys.data());
  keys_ = std::move(keys);
  slots_ = Buffer<Slot>(slots);
  std::fill(slots_.data(), slots_.data() + slots, Slot{0, -1});
  for (shift_ = 64; slots > 1; slots /= 2) --shift_;
  for (size_t v = 0; v < size_; ++v) {
    const uint64_t hash = hash_of(keys_[v]);
    size_t s = hash >> shift_;
    while (slots_[s].number >= 0) s = (s + 1) & (slots_.size() - 1);
    slots_[s] = {uint32_t(hash), int32_t(v)};
  }
}

int32_t VertexSet::add(uint64_t key, size_t slot) {
  const auto number = int32_t(size_);
  slots_[slot] = {uint32_t(hash_of(key)), number};
  keys_[size_++] = key;
  if (size_ == keys_.size()) grow(2 * slots_.size());
  return number;
}

Buffer<Vertex> VertexSet::sorted(const Buffer<int32_t>& number) const {
  Buffer<Vertex> vertices(size_), other(size_);
  uint64_t differing = 0;
  for (size_t v = 0; v < size_; ++v) {
    vertices[v] = {keys_[v], number[v]};
    differing |= keys_[v] ^ keys_[0];
  }
  for (int shift = 0; shift < 64 && differing >> shift; shift += kDigitBits) {
    size_t place[kDigits + 1] = {};
    for (size_t v = 0; v < size_; ++v) ++place[(vertices[v].key >> shift) % kDigits + 1];
    for (size_t digit = 1; digit < kDigits; ++digit) place[digit] += place[digit - 1];
    for (size_t v = 0; v < size_; ++v) other[place[(vertices[v].key >> shift) % kDigits]++] = vertices[v];
    std::swap(vertices, other);
  }
  return vertices;
}

}  // namespace deeplab
