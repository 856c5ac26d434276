// A few threads that live for one native call and run its loops together.
//
// Nothing outlives the call: no global pool to lose in fork(), none to fight with another library's.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace deeplab {

class Team {
 public:
  explicit Team(int threads);  // fewer where the system refuses more
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  size_t size() const { return helpers_.size() + 1; }

  // Calls body(begin, end) over [0, count) in chunks of `grain`, in any order, on any thread; returns when all are
  // done. Each thread starts on chunks of its own, the same for loops of one length, so that it finds in its cache what
  // it left there; then it helps the others. The first exception is rethrown here.
  using Body = std::function<void(size_t begin, size_t end)>;
  void each(size_t count, size_t grain, const Body& body);

 private:
  // What is left of a thread's chunks; on a cache line of its own.
  struct alignas(64) Chunks {
    std::atomic<size_t> next{0};
    size_t end = 0;
  };

  void serve(size_t thread);
  void work(size_t thread);

  std::vector<std::thread> helpers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<unsigned> round_{0};  // one per loop; helpers wait for it to move
  std::atomic<size_t> busy_{0};
  bool closing_ = false;
  std::vector<Chunks> chunks_;  // one per thread, the caller's first
  size_t grain_ = 1;
  const Body* body_ = nullptr;
  std::exception_ptr error_;
};

}  // namespace deeplab
