#include "vertex_set.hpp"

#include <algorithm>
#include <utility>

namespace deeplab {

namespace {

// Keys are sorted by this many bits at a time: few passes, and counts that stay in the first-level cache.
constexpr int kDigitBits = 11;
constexpr size_t kDigits = size_t(1) << kDigitBits;

}  // namespace

size_t VertexSet::slots_for(size_t points, size_t dimension) {
  size_t slots = 4;
  while (slots < points / 20 * std::min(dimension, size_t(5))) slots *= 2;
  return slots;
}

VertexSet::VertexSet(uint64_t* slots, size_t slot_count)
    : slot_count_(slot_count), keys_(slot_count / 4 * 3), slots_(slots) {
  fill_slots();
}

void VertexSet::fill_slots() {
  std::fill(slots_, slots_ + slot_count_, kFree);
  shift_ = 64;
  for (size_t slots = slot_count_; slots > 1; slots /= 2) --shift_;
  for (size_t v = 0; v < size_; ++v) {
    const uint64_t hash = hash_of(keys_[v]);
    size_t s = hash >> shift_;
    while (!is_free(slots_[s])) s = (s + 1) & (slot_count_ - 1);
    slots_[s] = slot_of(hash, v);
  }
}

void VertexSet::grow() {
  slot_count_ *= 2;
  Buffer<uint64_t> keys(slot_count_ / 4 * 3);
  std::copy(keys_.data(), keys_.data() + size_, keys.data());
  keys_ = std::move(keys);
  own_slots_ = Buffer<uint64_t>(slot_count_);
  slots_ = own_slots_.data();
  fill_slots();
}

int32_t VertexSet::add(uint64_t key, size_t slot) {
  const size_t vertex = size_;
  slots_[slot] = slot_of(hash_of(key), vertex);
  keys_[size_++] = key;
  if (size_ == keys_.size()) grow();
  return int32_t(vertex);
}

SortedVertices VertexSet::sort(Buffer<int32_t> number) && {
  uint64_t differing = 0;
  for (size_t v = 0; v < size_; ++v) differing |= keys_[v] ^ keys_[0];
  int bits = 0;
  while (bits < 64 && differing >> bits) ++bits;
  // An even number of passes: the last one leads back to where the keys were, and the slots can go.
  const int passes = (bits + 2 * kDigitBits - 1) / (2 * kDigitBits) * 2;
  const int digit_bits = passes ? (bits + passes - 1) / passes : 1;
  const uint64_t digit = (uint64_t(1) << digit_bits) - 1;
  const Buffer<int32_t> other(passes ? size_ : 0);
  uint64_t *key = keys_.data(), *next_key = slots_;
  int32_t *value = number.data(), *next_value = other.data();
  for (int pass = 0; pass < passes; ++pass) {
    const int shift = pass * digit_bits;
    size_t place[kDigits + 1] = {};
    for (size_t v = 0; v < size_; ++v) ++place[(key[v] >> shift & digit) + 1];
    for (size_t d = 1; d <= digit; ++d) place[d] += place[d - 1];
    for (size_t v = 0; v < size_; ++v) {
      const size_t next = place[key[v] >> shift & digit]++;
      next_key[next] = key[v];
      next_value[next] = value[v];
    }
    std::swap(key, next_key);
    std::swap(value, next_value);
  }
  own_slots_ = Buffer<uint64_t>();
  return {size_, std::move(keys_), std::move(number)};
}

}  // namespace deeplab
