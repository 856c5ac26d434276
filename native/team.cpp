#include "team.hpp"

#include <algorithm>
#include <exception>

namespace deeplab {

namespace {

// Loops follow each other within microseconds, so a short spin saves most sleeps.
constexpr int kSpins = 2000;

template <class Condition>
bool spin_until(Condition&& condition) {
  for (int i = 0; i < kSpins; ++i) {
    if (condition()) return true;
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_ia32_pause();
#endif
  }
  return false;
}

}  // namespace

Team::Team(int threads) : chunks_(size_t(std::max(threads, 1))) {
  try {
    for (size_t i = 1; i < chunks_.size(); ++i) helpers_.emplace_back([this, i] { serve(i); });
  } catch (const std::exception&) {
    // The process may start no more threads, or has no memory for them: those we have do the work.
  }
}

Team::~Team() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    closing_ = true;
    round_.fetch_add(1);
  }
  wake_.notify_all();
  for (auto& helper : helpers_) helper.join();
}

void Team::each(size_t count, size_t grain, const Body& body) {
  if (helpers_.empty() || count <= grain) {
    for (size_t begin = 0; begin < count; begin += grain) body(begin, std::min(begin + grain, count));
    return;
  }
  {
    std::lock_guard<std::mutex> lock(mutex_);
    grain_ = grain;
    body_ = &body;
    error_ = nullptr;
    const size_t total = (count + grain - 1) / grain;
    for (size_t t = 0; t < size(); ++t) {
      chunks_[t].next.store(t * total / size() * grain);
      chunks_[t].end = std::min((t + 1) * total / size() * grain, count);
    }
    busy_.store(helpers_.size());
    round_.fetch_add(1);
  }
  wake_.notify_all();
  work(0);
  const auto idle = [this] { return busy_.load() == 0; };
  if (!spin_until(idle)) {
    std::unique_lock<std::mutex> lock(mutex_);
    wake_.wait(lock, idle);
  }
  if (error_) std::rethrow_exception(error_);
}

void Team::work(size_t thread) {
  try {
    for (size_t k = 0; k < size(); ++k) {
      Chunks& chunks = chunks_[(thread + k) % size()];
      for (size_t begin; (begin = chunks.next.fetch_add(grain_)) < chunks.end;)
        (*body_)(begin, std::min(begin + grain_, chunks.end));
    }
  } catch (...) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!error_) error_ = std::current_exception();
    for (Chunks& chunks : chunks_) chunks.next.store(chunks.end);
  }
}

void Team::serve(size_t thread) {
  for (unsigned seen = 0;;) {
    const auto called = [&] { return round_.load() != seen; };
    if (!spin_until(called)) {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, called);
    }
    {
      std::lock_guard<std::mutex> lock(mutex_);
      seen = round_.load();
      if (closing_) return;
    }
    work(thread);
    bool last;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      last = busy_.fetch_sub(1) == 1;
    }
    if (last) wake_.notify_all();
  }
}

}  // namespace deeplab
