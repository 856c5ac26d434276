#include "pages.hpp"

#include <new>

#if defined(__linux__)

#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <mutex>

namespace deeplab {

namespace {

// The first touch of a page takes longer than all that is then done with it. So tables start on a huge page, where the
// system has them, and what is left over after the last whole one gets another if it fills half of it.
constexpr size_t kHugePageBytes = size_t(1) << 21;
constexpr size_t kPageBytes = size_t(1) << 16;  // a multiple of every system's

size_t whole_pages(size_t bytes) {
  const size_t page = bytes % kHugePageBytes >= kHugePageBytes / 2 ? kHugePageBytes : kPageBytes;
  return (bytes + page - 1) / page * page;
}

char* map(size_t length) {
  const size_t spare = length >= kHugePageBytes ? kHugePageBytes : 0;
  void* mapped = mmap(nullptr, length + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  char* const start = static_cast<char*>(mapped);
  if (!spare) return start;
  const size_t before = (kHugePageBytes - reinterpret_cast<uintptr_t>(start) % kHugePageBytes) % kHugePageBytes;
  if (before) munmap(start, before);
  munmap(start + before + length, spare - before);  // never all of it: `before` is less
  madvise(start + before, length, MADV_HUGEPAGE);
  return start + before;
}

// Pages no table uses, kept for the next ones: those of the call before are there already, new ones must be found and
// cleared. They are marked as free, so that the system takes them when it runs short of memory.
class KeptPages {
 public:
  char* take(size_t length) {
    const std::lock_guard<std::mutex> lock(mutex_);
    Block* best = nullptr;
    for (Block* b = blocks_; b < blocks_ + count_; ++b)
      if (b->length >= length && b->length / 2 <= length && (!best || b->length < best->length)) best = b;
    // What is used and what is kept never take more than what was once used: keeping pages raises no peak.
    while (!best && count_ && used_ + length + kept_ > most_used_) drop(blocks_);
    char* const start = best ? best->start : map(length);
    if (best) {
      const size_t rest = remove(best).length - length;
      if (rest) munmap(start + length, rest);
    }
    used_ += length;
    most_used_ = std::max(most_used_, used_);
    return start;
  }

  void give(char* start, size_t length) {
    const std::lock_guard<std::mutex> lock(mutex_);
    used_ -= length;
    if (count_ == kMostBlocks || kept_ + length > kMostKeptBytes || madvise(start, length, MADV_FREE)) {
      munmap(start, length);
      return;
    }
    blocks_[count_++] = {start, length};
    kept_ += length;
  }

  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

 private:
  static constexpr size_t kMostBlocks = 64, kMostKeptBytes = size_t(1) << 27;
  struct Block {
    char* start;
    size_t length;
  };

  void drop(Block* place) {
    const Block block = remove(place);
    munmap(block.start, block.length);
  }

  Block remove(Block* place) {
    const Block block = *place;
    *place = blocks_[--count_];
    kept_ -= block.length;
    return block;
  }

  std::mutex mutex_;
  Block blocks_[kMostBlocks];
  size_t count_ = 0, kept_ = 0, used_ = 0, most_used_ = 0;
};

KeptPages kept_pages;

// No other thread holds the lock while a process forks: nobody would let go of it in the child.
const int at_fork = pthread_atfork([] { kept_pages.lock(); }, [] { kept_pages.unlock(); }, [] { kept_pages.unlock(); });

}  // namespace

void* take_pages(size_t bytes) { return kept_pages.take(whole_pages(bytes)); }

void give_pages(void* start, size_t bytes) noexcept { kept_pages.give(static_cast<char*>(start), whole_pages(bytes)); }

}  // namespace deeplab

#else

namespace deeplab {

constexpr std::align_val_t kCacheLine{64};

void* take_pages(size_t bytes) { return ::operator new(bytes, kCacheLine); }

void give_pages(void* start, size_t) noexcept { ::operator delete(start, kCacheLine); }

}  // namespace deeplab

#endif
