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
  static constexpr size_t kLarge = size_t(1) << 17, kHuge = size_t(4) << 20;

  // Large tables come from the system and go back to it at once: the allocator would keep some of them. In huge pages
  // the first touch of the largest takes much less time.
  static T* allocate(size_t size) {
    if (size > PTRDIFF_MAX / sizeof(T)) throw std::bad_alloc();
    const size_t bytes = size * sizeof(T);
#if defined(__linux__)
    if (bytes >= kLarge) {
      void* values = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (values == MAP_FAILED) throw std::bad_alloc();
      if (bytes >= kHuge) madvise(values, bytes, MADV_HUGEPAGE);
      return static_cast<T*>(values);
    }
#endif
    return static_cast<T*>(::operator new(bytes, std::align_val_t(kCacheLine)));
  }

  struct Free {
    size_t size = 0;
    void operator()(T* values) const {
#if defined(__linux__)
      if (size * sizeof(T) >= kLarge) {
        munmap(values, size * sizeof(T));
        return;
      }
#endif
      ::operator delete(values, std::align_val_t(kCacheLine));
    }
  };
  std::unique_ptr<T[], Free> values_;
  size_t size_ = 0;
};

}  // namespace deeplab
