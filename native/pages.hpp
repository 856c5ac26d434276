// Memory for large tables, kept between calls where the system may still take it back.
#pragma once

#include <cstddef>

namespace deeplab {

// Smaller tables are left to the allocator; of larger ones it would keep some for good.
constexpr size_t kLargeBytes = size_t(1) << 17;

// Returns uninitialised memory for `bytes` (kLargeBytes or more) that starts on a cache line. Throws std::bad_alloc.
void* take_pages(size_t bytes);

// Takes back what take_pages(bytes) returned.
void give_pages(void* start, size_t bytes) noexcept;

}  // namespace deeplab
