// The vertices of one colour: a hash table that numbers them as they come, and their sorted list to find neighbours by.
#pragma once

#include <cstddef>
#include <cstdint>

#include "buffer.hpp"

namespace deeplab {

struct Vertex {
  uint64_t key;
  int32_t number;
};

class VertexSet {
 public:
  explicit VertexSet(size_t points);  // a guess at how many vertices will come; the table grows as needed

  // The number of a vertex among these, from 0 in the order of their coming; adds it where it is new.
  int32_t find_or_add(uint64_t key) {
    const uint64_t hash = hash_of(key);
    size_t s = hash >> shift_;
    for (; slots_[s].number >= 0; s = (s + 1) & (slots_.size() - 1))
      if (slots_[s].tag == uint32_t(hash) && keys_[size_t(slots_[s].number)] == key) return slots_[s].number;
    return add(key, s);
  }
  void prefetch(uint64_t key) const { __builtin_prefetch(&slots_[hash_of(key) >> shift_]); }

  size_t size() const { return size_; }

  // All in the order of their keys, with the numbers that they have in the whole lattice.
  Buffer<Vertex> sorted(const Buffer<int32_t>& number) const;

 private:
  // Half the hash, so that most other keys are told apart without a look at them; a negative number: free.
  struct Slot {
    uint32_t tag;
    int32_t number;
  };

  static uint64_t hash_of(uint64_t key) { return (key ^ (key >> 29)) * 0xbf58476d1ce4e5b9u; }
  int32_t add(uint64_t key, size_t slot);
  void grow(size_t slots);

  size_t size_ = 0;
  Buffer<uint64_t> keys_;  // by number, with room for as many as the slots may hold
  Buffer<Slot> slots_;     // linear probing
  int shift_ = 64;
};

}  // namespace deeplab
