// A fixed number of uninitialised values that start on a cache line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace deeplab {

// Large tables come from the system and go back to it at once: the allocator would keep some of them.
constexpr size_t kLargeBytes = size_t(1) << 17;

#if defined(__linux__)
// The first touch of a page takes longer than all that is then done with it. So tables start on a huge page, where the
// system has them, and what is left over after the last whole one gets another if it fills half of it.
constexpr size_t kHugePageBytes = size_t(1) << 21;
constexpr size_t kPageBytes = size_t(1) << 16;  // a multiple of every system's

inline size_t mapped_bytes(size_t bytes) {
  const size_t page = bytes % kHugePageBytes >= kHugePageBytes / 2 ? kHugePageBytes : kPageBytes;
  return (bytes + page - 1) / page * page;
}

inline void* map_pages(size_t bytes) {
  const size_t length = mapped_bytes(bytes), spare = length >= kHugePageBytes ? kHugePageBytes : 0;
  void* mapped = mmap(nullptr, length + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  if (!spare) return mapped;
  char* const start = static_cast<char*>(mapped);
  const size_t before = (kHugePageBytes - reinterpret_cast<uintptr_t>(start) % kHugePageBytes) % kHugePageBytes;
  if (before) munmap(start, before);
  munmap(start + before + length, spare - before);  // never all of it: `before` is less
  madvise(start + before, length, MADV_HUGEPAGE);
  return start + before;
}

inline void unmap_pages(void* values, size_t bytes) { munmap(values, mapped_bytes(bytes)); }
#endif

template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t size) : values_(allocate(size), Free{size}), size_(size) {}
  T* data() const { return values_.get(); }
  size_t size() const { return size_; }
  T& operator[](size_t i) const { return values_.get()[i]; }

 private:
  static constexpr size_t kCacheLine = 64;
  static constexpr size_t kMostSpare = size_t(1) << 22;  // what is mapped beyond the size

  static T* allocate(size_t size) {
    if (size > (size_t(PTRDIFF_MAX) - kMostSpare) / sizeof(T)) throw std::bad_alloc();
    const size_t bytes = size * sizeof(T);
#if defined(__linux__)
    if (bytes >= kLargeBytes) return static_cast<T*>(map_pages(bytes));
#endif
    return static_cast<T*>(::operator new(bytes, std::align_val_t(kCacheLine)));
  }

  struct Free {
    size_t size = 0;
    void operator()(T* values) const {
#if defined(__linux__)
      if (size * sizeof(T) >= kLargeBytes) return unmap_pages(values, size * sizeof(T));
#endif
      ::operator delete(values, std::align_val_t(kCacheLine));
    }
  };
  std::unique_ptr<T[], Free> values_;
  size_t size_ = 0;
};

}  // namespace deeplab
