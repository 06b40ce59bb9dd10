#include "KernelSearch.h"

#include "planish/support/Text.h"

#include <algorithm>

namespace planish::tune {
namespace {

/// A candidate that is better than the best so far by less is not worth another record.
constexpr double kWorthwhile = 0.995;

std::string textOf(const Config &config) {
  return joined(config, [](const auto &knob) { return knob.first + "=" + std::to_string(knob.second); }, " ");
}

} // namespace

KernelSearch::KernelSearch(Search s, Config start, std::vector<Config> first)
    : search(std::move(s)), defaults(start), config(std::move(start)), queue(std::move(first)) {
  confirmed.ratio = {1, 1, 1};
}

void KernelSearch::tryMore(Subject &subject, int count, const std::function<bool()> &tried) {
  std::vector<Config> batch;
  while (int(batch.size()) < count && !done) {
    if (!queue.empty()) {
      batch.push_back(queue.front());
      queue.erase(queue.begin());
    } else if (auto next = search.next()) batch.push_back(std::move(*next));
    else done = true;
  }
  std::vector<Subject::Candidate> made = subject.prepare(batch);
  for (size_t i = 0; i < batch.size(); ++i) {
    ++sinceBest;
    if (made[i].duplicate) ++counts.duplicates;
    else if (made[i].wrong.empty()) judge(subject, batch[i], made[i].sample);
    else if (counts.wrong++ == 0) firstWrong = textOf(batch[i]) + ": " + made[i].wrong;
    if (!tried()) return;
  }
}

void KernelSearch::judge(Subject &subject, const Config &candidate, const Sampler &sample) {
  double toBeat = confirmed.ratio.median * kWorthwhile;
  Sampler baseline = subject.baseline();
  Outcome first = contest(baseline, sample, confirmed.ratio.median);
  if (!first.faster || first.ratio.median > toBeat) {
    ++counts.slower;
    return;
  }
  Outcome second = confirmation(baseline, sample);
  if (!second.faster || second.ratio.median > toBeat) {
    ++counts.unconfirmed;
    return;
  }
  ++counts.faster;
  sinceBest = 0;
  config = candidate;
  confirmed = second;
  search.moveTo(config);
}

} // namespace planish::tune
