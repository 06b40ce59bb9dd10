// Profiles as JSON.
#include "planish/quant/Profile.h"

#include <llvm/Support/JSON.h>
#include <llvm/Support/raw_ostream.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>

namespace planish::quant {

namespace json = llvm::json;

namespace {

constexpr int64_t kVersion = 1;
/// Of a factor that equalizes channels.
constexpr double kMostExponent = 60;
/// All that JSON's numbers hold exactly.
constexpr double kMostSamples = 0x1p53;

std::string_view nameOf(Calibrator c) {
  return std::ranges::find(calibrators(), c, &CalibratorRow::calibrator)->name;
}

json::Object jsonOf(const ValueProfile &v) {
  const Histogram &h = v.histogram;
  json::Array counts, least, most, mean;
  for (uint64_t n : h.bins()) counts.push_back(int64_t(n));
  for (const Channel &c : v.channels)
    least.push_back(c.least), most.push_back(c.most), mean.push_back(c.mean);
  json::Object r{
      {"least", h.least()},
      {"most", h.most()},
      {"bins",
       json::Object{{"exponent", h.exponent()}, {"first", h.first()}, {"counts", std::move(counts)}}}};
  if (!v.channels.empty())
    r["channels"] =
        json::Object{{"least", std::move(least)}, {"most", std::move(most)}, {"mean", std::move(mean)}};
  return r;
}

/// Reads what print() writes, with one complaint about the first thing that is not so.
class Reader {
public:
  explicit Reader(const std::string &where) : where(where) {}

  Result<Profile> read(std::string_view text) {
    auto document = json::parse(llvm::StringRef(text.data(), text.size()));
    if (!document) {
      std::string why = llvm::toString(document.takeError());
      return badInput("'" + where + "' is no calibration profile: " + why);
    }
    const json::Object *o = document->getAsObject();
    if (!o || o->getInteger("planish_profile") != kVersion)
      return badInput("'" + where + "' is no calibration profile of this version; calibrate again");
    Profile r;
    r.graph = string(*o, "graph");
    r.samples = uint64_t(std::clamp(number(*o, "samples"), 0.0, kMostSamples));
    std::string calibrator = string(*o, "calibrator");
    auto row = std::ranges::find(calibrators(), calibrator, &CalibratorRow::name);
    if (row == calibrators().end()) {
      note("calibrator", "is '" + calibrator + "'");
    } else {
      r.calibrator = row->calibrator;
    }
    if (o->get("equalization"))
      if (const json::Object *equalization = object(*o, "equalization"))
        for (const auto &entry : *equalization) {
          path = "equalization.";
          for (double e : numbers(*equalization, entry.first.str().c_str()))
            r.equalization[entry.first.str()].push_back(int(std::clamp(e, -kMostExponent, kMostExponent)));
        }
    path.clear();
    r.tables = o->getBoolean("tables").value_or(false);
    if (o->get("real")) r.real = strings(*o, "real");
    if (const json::Object *values = object(*o, "values"))
      for (const auto &[name, value] : *values) {
        path = "values." + name.str() + ".";
        if (const json::Object *v = value.getAsObject()) {
          r.values.emplace(name.str(), valueOf(*v));
        } else {
          note("", "is no object");
        }
      }
    if (!problem.empty()) return badInput("'" + where + "': " + problem + "; calibrate again");
    return r;
  }

private:
  void note(const std::string &field, const std::string &text) {
    if (problem.empty()) problem = path + field + " " + text;
  }
  const json::Object *object(const json::Object &o, const char *field) {
    const json::Object *r = o.getObject(field);
    if (!r) note(field, "is missing or no object");
    return r;
  }
  std::string string(const json::Object &o, const char *field) {
    auto r = o.getString(field);
    if (!r) note(field, "is missing or no text");
    return r ? r->str() : std::string();
  }
  double number(const json::Object &o, const char *field) {
    auto r = o.getNumber(field);
    if (!r || !std::isfinite(*r)) note(field, "is missing or no number");
    return r.value_or(0);
  }
  std::vector<double> numbers(const json::Object &o, const char *field) {
    std::vector<double> r;
    const json::Array *list = o.getArray(field);
    if (!list) note(field, "is missing or no list");
    for (size_t i = 0; list && i < list->size(); ++i) {
      auto x = (*list)[i].getAsNumber();
      if (!x || !std::isfinite(*x)) note(field, "has something else than numbers");
      r.push_back(x.value_or(0));
    }
    return r;
  }

  std::vector<std::string> strings(const json::Object &o, const char *field) {
    std::vector<std::string> r;
    const json::Array *list = o.getArray(field);
    if (!list) note(field, "is missing or no list");
    for (size_t i = 0; list && i < list->size(); ++i) {
      auto text = (*list)[i].getAsString();
      if (!text) note(field, "has something else than texts");
      r.push_back(text ? text->str() : std::string());
    }
    return r;
  }

  ValueProfile valueOf(const json::Object &o) {
    ValueProfile r;
    double least = number(o, "least"), most = number(o, "most");
    if (least > most) note("least", "is above most");
    constexpr double kLargest = std::numeric_limits<float>::max();
    if (least < -kLargest) note("least", "is below all floats");
    if (most > kLargest) note("most", "is above all floats");
    // Written by hand, a range is enough.
    const float ends[] = {float(least), float(most)};
    r.histogram.add(ends);
    if (o.get("bins"))
      if (const json::Object *bins = object(o, "bins")) {
        std::vector<uint64_t> counts;
        for (double n : numbers(*bins, "counts")) counts.push_back(uint64_t(std::clamp(n, 0.0, 0x1p62)));
        double exponent = number(*bins, "exponent"), first = number(*bins, "first");
        if (counts.empty() || counts.size() > Histogram::kMostBins || std::abs(exponent) > 1000 ||
            std::abs(first) > 0x1p52) {
          note("bins", "do not make a histogram");
        } else {
          r.histogram = {least, most, int(exponent), int64_t(first), std::move(counts)};
        }
      }
    if (!o.get("channels")) return r;
    const json::Object *channels = object(o, "channels");
    if (!channels) return r;
    auto lows = numbers(*channels, "least"), highs = numbers(*channels, "most"),
         means = numbers(*channels, "mean");
    if (lows.size() != highs.size() || lows.size() != means.size()) {
      note("channels", "has lists of different lengths");
      return r;
    }
    for (size_t c = 0; c < lows.size(); ++c) r.channels.push_back({lows[c], highs[c], means[c]});
    return r;
  }

  const std::string &where;
  std::string path, problem;
};

} // namespace

std::string print(const Profile &p) {
  json::Object values, equalization;
  json::Array real;
  for (const std::string &node : p.real) real.push_back(json::fixUTF8(node));
  for (const auto &[name, exponents] : p.equalization)
    equalization[json::fixUTF8(name)] = json::Array(exponents);
  for (const auto &[name, value] : p.values) values[json::fixUTF8(name)] = jsonOf(value);
  json::Object document{{"planish_profile", kVersion},
                        {"graph", p.graph},
                        {"samples", int64_t(p.samples)},
                        {"calibrator", std::string(nameOf(p.calibrator))},
                        {"equalization", std::move(equalization)},
                        {"real", std::move(real)},
                        {"values", std::move(values)}};
  if (p.tables) document["tables"] = true;
  std::string r;
  llvm::raw_string_ostream(r) << json::Value(std::move(document)) << "\n";
  return r;
}

Result<Profile> parseProfile(std::string_view text, const std::string &where) {
  return Reader(where).read(text);
}

Result<Profile> readProfile(const std::string &path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return badInput("cannot read '" + path + "'");
  std::string text(std::istreambuf_iterator<char>(in), {});
  return parseProfile(text, path);
}

Status writeProfile(const Profile &profile, const std::string &path) {
  std::ofstream file(path, std::ios::binary);
  file << print(profile);
  file.close();
  return file ? Status() : failed("cannot write '" + path + "'");
}

} // namespace planish::quant
