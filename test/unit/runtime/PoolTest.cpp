// Threads: any number gives the same bytes, instances share them, and they come and go.
#include "TestModel.h"

#include <gmock/gmock.h>

#include <random>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace planish::test {
namespace {

using testing::HasSubstr;

TEST(PoolTest, everyThreadCountGivesTheSameResult) {
  AddModel add;
  for (int threads = 1; threads <= 9; ++threads) {
    Instance net(add.model, threads);
    EXPECT_EQ(planish_threads(net), static_cast<uint32_t>(threads));
    EXPECT_EQ(testSystem().threadsRunning, threads - 1);
    for (int64_t rows : {0, 1, 2, 3, 7, 8, 9, 1000})
      EXPECT_EQ(checkAdd(net, rows, 5), "") << threads << " threads, " << rows << " rows";
  }
  EXPECT_EQ(testSystem().threadsRunning, 0);
}

/// Counts how often each task ran.
struct Tally {
  static constexpr int64_t kTasks = 257;
  std::array<std::atomic<int>, kTasks> runs{};
  int64_t tasks = 0;
};

void tally(void *const *buffers, const int64_t *, void *, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) ++static_cast<Tally *>(buffers[0])->runs[static_cast<size_t>(i)];
}

int32_t tallyHost(const planish_frame *frame) {
  Tally *counts;
  std::copy_n(static_cast<Tally *const *>(frame->inputs[0]), 1, &counts);
  void *buffers[] = {counts};
  planish_launch_v1(frame->instance, 0, tally, buffers, nullptr, counts->tasks);
  return 0;
}

TEST(PoolTest, runsEveryTaskOnce) {
  CopyModel pointer;
  planish_tensor_info input{};
  input.name = "tally";
  input.dtype = PLANISH_U64;
  pointer.model.inputs = &input;
  pointer.model.host = tallyHost;
  for (int threads : {1, 2, 3, 5, 16}) {
    Instance net(pointer.model, threads);
    for (int64_t tasks :
         {int64_t{0}, int64_t{1}, int64_t{2}, int64_t{15}, int64_t{16}, int64_t{17}, Tally::kTasks}) {
      Tally counts;
      counts.tasks = tasks;
      const Tally *data = &counts;
      ASSERT_EQ(planish_set_input(net, 0, &data, nullptr, 0), PLANISH_OK) << planish_error();
      ASSERT_EQ(planish_run(net), PLANISH_OK);
      for (int64_t i = 0; i < Tally::kTasks; ++i)
        ASSERT_EQ(counts.runs[static_cast<size_t>(i)], i < tasks) << threads << " threads, task " << i;
    }
  }
}

/// A caller's threads: a fresh one for each part, the last part first.
struct OwnThreads {
  std::atomic<int> calls{0};
  std::atomic<uint32_t> most{0};

  static void run(void *user, uint32_t parts, planish_part_fn part, void *work) {
    auto *self = static_cast<OwnThreads *>(user);
    ++self->calls;
    self->most = std::max(self->most.load(), parts);
    std::vector<std::thread> threads;
    for (uint32_t i = parts; i-- > 0;) threads.emplace_back(part, work, i);
    for (std::thread &thread : threads) thread.join();
  }
};

TEST(PoolTest, theCallersThreadsTakeItsPlace) {
  AddModel add;
  OwnThreads own;
  planish_options options{};
  options.threads = 3;
  options.parallel = OwnThreads::run;
  options.parallel_user = &own;
  planish_instance *net = nullptr;
  testSystem().threadsLeft = 0;
  ASSERT_EQ(planish_create(&add.model, &options, &net), PLANISH_OK) << planish_error();
  for (int64_t rows : {0, 1, 2, 3, 7, 1000}) EXPECT_EQ(checkAdd(net, rows, 5), "") << rows << " rows";
  EXPECT_EQ(own.most, 3u);
  EXPECT_EQ(own.calls, 2 * 4); // not for a single task, and not for none

  // Subnormal numbers count as zero on those threads, too.
  std::vector<float> tiny(3 * AddModel::kMaxRows, 1e-39F);
  const int64_t dims[] = {AddModel::kMaxRows, 3};
  for (uint32_t i = 0; i < 2; ++i) ASSERT_EQ(planish_set_input(net, i, tiny.data(), dims, 2), PLANISH_OK);
  ASSERT_EQ(planish_run(net), PLANISH_OK);
  planish_tensor out;
  ASSERT_EQ(planish_get_output(net, 0, &out), PLANISH_OK);
  for (size_t i = 0; i < tiny.size(); ++i) ASSERT_EQ(static_cast<const float *>(out.data)[i], 0) << i;
  planish_destroy(net);
  testSystem().threadsLeft = 1 << 30;
}

TEST(PoolTest, zeroThreadsMeansAllCores) {
  AddModel add;
  testSystem().cores = 3;
  Instance net(add.model, 0);
  testSystem().cores = 4;
  EXPECT_EQ(planish_threads(net), 3u);
  EXPECT_EQ(testSystem().threadsRunning, 2);
  EXPECT_EQ(checkAdd(net, 100, 8), "");
}

TEST(PoolTest, oneThreadNeverTouchesThePool) {
  AddModel add;
  testSystem().threadsLeft = 0;
  {
    Instance net(add.model, 1);
    EXPECT_EQ(checkAdd(net, 100, 8), "");
  }
  testSystem().threadsLeft = 1 << 30;
}

TEST(PoolTest, refusesImpossibleThreadCounts) {
  AddModel add;
  planish_options options{};
  planish_instance *net = nullptr;
  for (int threads : {-1, PLANISH_MAX_THREADS + 1}) {
    options.threads = threads;
    EXPECT_EQ(planish_create(&add.model, &options, &net), PLANISH_INVALID_ARGUMENT);
    EXPECT_THAT(planish_error(), HasSubstr("options.threads is " + std::to_string(threads)));
  }
}

TEST(PoolTest, survivesRefusedThreads) {
  AddModel add;
  planish_options options{};
  options.threads = 5;
  planish_instance *net = nullptr;
  for (int granted = 0; granted < 4; ++granted) {
    testSystem().threadsLeft = granted;
    EXPECT_EQ(planish_create(&add.model, &options, &net), PLANISH_OUT_OF_MEMORY);
    EXPECT_STREQ(planish_error(), "the system refuses 4 threads");
    EXPECT_EQ(net, nullptr);
    EXPECT_EQ(testSystem().threadsRunning, 0);
  }
  testSystem().threadsLeft = 1;
  {
    Instance small(add.model, 2);
    EXPECT_EQ(planish_create(&add.model, &options, &net), PLANISH_OUT_OF_MEMORY);
    EXPECT_EQ(checkAdd(small, 50, 4), "");
  }
  testSystem().threadsLeft = 1 << 30;
  Instance again(add.model, 5);
  EXPECT_EQ(checkAdd(again, 50, 4), "");
}

TEST(PoolTest, instancesTakeTurns) {
  AddModel add;
  Instance two(add.model, 2), four(add.model, 4), one(add.model, 1);
  EXPECT_EQ(testSystem().threadsRunning, 3);
  for (uint32_t i = 0; i < 50; ++i)
    for (planish_instance *net : {static_cast<planish_instance *>(two), static_cast<planish_instance *>(four),
                                  static_cast<planish_instance *>(one)})
      ASSERT_EQ(checkAdd(net, 20 + i, i), "");
}

TEST(PoolTest, workersWakeFromSleep) {
  AddModel add;
  for (uint32_t cores : {2u, 16u}) { // too few to wait awake, and enough
    testSystem().cores = cores;
    Instance net(add.model, 3);
    for (uint32_t i = 0; i < 20; ++i) {
      ASSERT_EQ(checkAdd(net, 30, i), "");
      usleep(i % 2 ? 200 : 10);
    }
  }
  testSystem().cores = 4;
}

TEST(PoolTest, doesNotWaitForWorkersThatGetNoCore) {
  AddModel add;
  testSystem().holdWorkers = true;
  Instance net(add.model, 4);
  for (uint32_t i = 0; i < 5; ++i) EXPECT_EQ(checkAdd(net, 100 + i, i), "");
  testSystem().holdWorkers = false;
  for (uint32_t i = 0; i < 50; ++i) EXPECT_EQ(checkAdd(net, 100 + i, i), "");
}

TEST(PoolTest, concurrentInstancesAreIndependent) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  AddModel add;
  std::atomic<int> wrong{0};
  std::vector<std::thread> users;
  for (uint32_t user = 0; user < 4; ++user)
    users.emplace_back([&, user] {
      std::mt19937 random(seed + user);
      for (int life = 0; life < 8; ++life) {
        Instance net(add.model, static_cast<int>(1 + random() % 4));
        for (int i = 0; i < 25; ++i) {
          const int64_t rows = static_cast<int64_t>(random() % AddModel::kMaxRows);
          if (rows != 13 && !checkAdd(net, rows, static_cast<uint32_t>(random())).empty()) ++wrong;
        }
      }
    });
  for (std::thread &user : users) user.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(testSystem().threadsRunning, 0);
}

std::atomic<bool> gInside{false}, gLeave{false};

TEST(PoolTest, oneInstanceRefusesToRunTwiceAtOnce) {
  CopyModel copy;
  copy.model.host = [](const planish_frame *) -> int32_t {
    gInside = true;
    while (!gLeave) std::this_thread::yield();
    return 0;
  };
  gInside = false;
  gLeave = false;
  Instance net(copy.model);
  const uint8_t data[4] = {};
  ASSERT_EQ(planish_set_input(net, 0, data, nullptr, 0), PLANISH_OK);
  std::thread other([&] { EXPECT_EQ(planish_run(net), PLANISH_OK); });
  while (!gInside) std::this_thread::yield();
  EXPECT_EQ(planish_run(net), PLANISH_BUSY);
  EXPECT_STREQ(planish_error(), "the instance of model 'copy' is running in another thread");
  gLeave = true;
  other.join();
  EXPECT_EQ(planish_run(net), PLANISH_OK);
}

TEST(PoolTest, errorTextsBelongToTheirThread) {
  AddModel add;
  Instance net(add.model);
  EXPECT_NE(planish_run(net), PLANISH_OK);
  std::thread([] { EXPECT_STREQ(planish_error(), ""); }).join();
  EXPECT_STREQ(planish_error(), "input 'x' was not set");
}

// ThreadSanitizer does not follow threads into forked children.
#if !defined(__SANITIZE_THREAD__)
TEST(PoolTest, worksInAForkedChild) {
  AddModel add;
  Instance parent(add.model, 3);
  ASSERT_EQ(checkAdd(parent, 40, 1), "");
  const pid_t child = fork();
  if (child == 0) {
    bool good = checkAdd(parent, 41, 2).empty(); // inherited: runs in the one thread there is
    planish_instance *own = nullptr;
    planish_options options{};
    options.threads = 3;
    good = good && planish_create(&add.model, &options, &own) == PLANISH_OK && checkAdd(own, 42, 3).empty();
    planish_destroy(own);
    _exit(good ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(checkAdd(parent, 43, 4), "");
}
#endif

} // namespace
} // namespace planish::test
