// A fixed number of uninitialised values that start on a cache line.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

namespace deeplab {

template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t size)
      : values_(static_cast<T*>(::operator new(checked_bytes(size), std::align_val_t(kCacheLine)))), size_(size) {}
  T* data() const { return values_.get(); }
  size_t size() const { return size_; }
  T& operator[](size_t i) const { return values_.get()[i]; }

 private:
  static constexpr size_t kCacheLine = 64;
  static size_t checked_bytes(size_t size) {
    if (size > PTRDIFF_MAX / sizeof(T)) throw std::bad_alloc();
    return size * sizeof(T);
  }
  struct Free {
    void operator()(T* values) const { ::operator delete(values, std::align_val_t(kCacheLine)); }
  };
  std::unique_ptr<T[], Free> values_;
  size_t size_ = 0;
};

}  // namespace deeplab
