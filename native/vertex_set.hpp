// The vertices of one colour: a hash table that numbers them as they come, and their sorted list to find neighbours by.
#pragma once

#include <cstddef>
#include <cstdint>

#include "buffer.hpp"

namespace deeplab {

// Vertices in the order of their keys, with the numbers that they have in the whole lattice.
struct SortedVertices {
  size_t size = 0;
  Buffer<uint64_t> key;  // with room for more
  Buffer<int32_t> number;
};

class VertexSet {
 public:
  // Slots for the vertices around so many points, by a guess: where more come, it makes a larger table of its own.
  static size_t slots_for(size_t points, size_t dimension);

  // `slots` has room for slot_count, as slots_for() says, and stays as long as this.
  VertexSet(uint64_t* slots, size_t slot_count);

  // The number of a vertex among these, from 0 in the order of their coming; adds it where it is new.
  int32_t find_or_add(uint64_t key) {
    const uint64_t hash = hash_of(key);
    size_t s = hash >> shift_;
    for (; !is_free(slots_[s]); s = (s + 1) & (slot_count_ - 1))
      if (slots_[s] >> 32 == uint32_t(hash) && keys_[uint32_t(slots_[s])] == key) return int32_t(slots_[s]);
    return add(key, s);
  }
  void prefetch(uint64_t key) const { __builtin_prefetch(&slots_[hash_of(key) >> shift_]); }

  size_t size() const { return size_; }

  // All of them, `number[v]` being that of vertex v in the whole lattice. It uses up both, and the slots: no memory is
  // touched for it that was not before, but for one number each.
  SortedVertices sort(Buffer<int32_t> number) &&;

 private:
  // A slot is half the hash, so that most other keys are told apart without a look at them, above the vertex.
  static constexpr uint64_t kFree = ~uint64_t(0);
  static bool is_free(uint64_t slot) { return int32_t(slot) < 0; }

  static uint64_t hash_of(uint64_t key) { return (key ^ (key >> 29)) * 0xbf58476d1ce4e5b9u; }
  static uint64_t slot_of(uint64_t hash, size_t vertex) { return hash << 32 | vertex; }
  int32_t add(uint64_t key, size_t slot);
  void fill_slots();
  void grow();

  size_t size_ = 0, slot_count_;
  Buffer<uint64_t> keys_;  // by vertex, with room for as many as the slots may hold
  uint64_t* slots_;        // linear probing
  Buffer<uint64_t> own_slots_;
  int shift_ = 64;
};

}  // namespace deeplab
