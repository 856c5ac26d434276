// A fixed number of uninitialised values that start on a cache line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#include "pages.hpp"

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
  static constexpr std::align_val_t kCacheLine{64};
  static constexpr size_t kMostSpare = size_t(1) << 22;  // what take_pages may map beyond the size

  static T* allocate(size_t size) {
    if (size > (size_t(PTRDIFF_MAX) - kMostSpare) / sizeof(T)) throw std::bad_alloc();
    const size_t bytes = size * sizeof(T);
    return static_cast<T*>(bytes >= kLargeBytes ? take_pages(bytes) : ::operator new(bytes, kCacheLine));
  }

  struct Free {
    size_t size = 0;
    void operator()(T* values) const {
      const size_t bytes = size * sizeof(T);
      if (bytes >= kLargeBytes) return give_pages(values, bytes);
      ::operator delete(values, kCacheLine);
    }
  };
  std::unique_ptr<T[], Free> values_;
  size_t size_ = 0;
};

}  // namespace deeplab
