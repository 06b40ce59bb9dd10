#include "JsonFields.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace planish::run {
namespace {

using Json = nlohmann::json;

constexpr size_t kShownCharacters = 60;

std::string shown(const Json &value) {
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > kShownCharacters) text = text.substr(0, kShownCharacters) + "...";
  return text;
}

size_t edits(const std::string &a, const std::string &b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1] ? 1 : 0)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::optional<float> positive(const Json &value) {
  if (!value.is_number()) return std::nullopt;
  const auto number = value.get<float>();
  return std::isfinite(number) && number > 0 ? std::optional(number) : std::nullopt;
}

std::string plain(float number) {
  char text[32];
  std::snprintf(text, sizeof(text), "%g", static_cast<double>(number));
  return text;
}

} // namespace

Result<Json> parseJson(const std::string &text, const std::string &path) {
  try {
    return Json::parse(text);
  } catch (const Json::exception &error) {
    const std::string what = error.what();
    const size_t begin = what.find("] ");
    return badInput("'" + path + "': " + (begin == std::string::npos ? what : what.substr(begin + 2)));
  }
}

std::optional<std::string> nearestWord(const std::string &text, const std::vector<std::string> &words) {
  std::optional<std::string> best;
  size_t fewest = std::max<size_t>(1, text.size() / 3) + 1;
  for (const std::string &word : words) {
    const size_t distance = edits(text, word);
    if (distance >= fewest) continue;
    fewest = distance;
    best = word;
  }
  return best;
}

JsonFields::JsonFields(const Json *value, std::string path, JsonComplaint &complaint)
    : value(value), path(std::move(path)), complaint(&complaint) {
  if (!value || value->is_object()) return;
  this->complaint->note(this->path, "expected an object, found " + shown(*value));
  this->value = nullptr;
}

void JsonFields::wrong(const char *key, const std::string &expected, const Json &found) {
  wrongField(key, "expected " + expected + ", found " + shown(found));
}

const Json *JsonFields::find(const char *key, bool required) {
  known.emplace_back(key);
  if (!value) return nullptr;
  const auto at = value->find(key);
  if (at != value->end()) return &*at;
  if (required)
    wrong(std::string("field \"") + key + "\" is missing; " + complaint->description + " describes it");
  return nullptr;
}

bool JsonFields::has(const char *key) {
  known.emplace_back(key);
  return value && value->contains(key);
}

JsonFields JsonFields::object(const char *key, bool required) {
  return {find(key, required), path + "." + key, *complaint};
}

std::vector<JsonFields> JsonFields::objects(const char *key) {
  std::vector<JsonFields> result;
  const Json *list = find(key, false);
  if (!list) return result;
  if (!list->is_array() || list->empty()) wrong(key, "a list of objects", *list);
  if (list->is_array())
    for (size_t i = 0; i < list->size(); ++i)
      result.emplace_back(&(*list)[i], path + "." + key + "[" + std::to_string(i) + "]", *complaint);
  return result;
}

int JsonFields::integer(const char *key, int low, int high, std::optional<int> otherwise) {
  const Json *found = find(key, !otherwise);
  if (!found) return otherwise.value_or(low);
  if (found->is_number_integer()) {
    const auto number =
        found->is_number_unsigned() && found->get<uint64_t>() > INT64_MAX ? INT64_MAX : found->get<int64_t>();
    if (number >= low && number <= high) return static_cast<int>(number);
  }
  wrong(key, "an integer from " + std::to_string(low) + " to " + std::to_string(high), *found);
  return low;
}

float JsonFields::number(const char *key, float low, float high, std::optional<float> otherwise) {
  const Json *found = find(key, !otherwise);
  if (!found) return otherwise.value_or(low);
  if (found->is_number()) {
    const auto number = found->get<float>();
    if (number >= low && number <= high) return number;
  }
  wrong(key, "a number from " + plain(low) + " to " + plain(high), *found);
  return low;
}

bool JsonFields::boolean(const char *key, bool otherwise) {
  const Json *found = find(key, false);
  if (found && found->is_boolean()) return found->get<bool>();
  if (found) wrong(key, "true or false", *found);
  return otherwise;
}

std::string JsonFields::text(const char *key, const std::optional<std::string> &otherwise) {
  const Json *found = find(key, !otherwise);
  if (found && found->is_string() && !found->get_ref<const std::string &>().empty())
    return found->get<std::string>();
  if (found) wrong(key, "a string that is not empty", *found);
  return otherwise.value_or("");
}

std::vector<std::string> JsonFields::texts(const char *key) {
  const Json *found = find(key, false);
  std::vector<std::string> result;
  if (!found) return result;
  const auto isText = [](const Json &item) {
    return item.is_string() && !item.get_ref<const std::string &>().empty();
  };
  if (isText(*found)) return {found->get<std::string>()};
  if (!found->is_array() || found->empty() || !std::all_of(found->begin(), found->end(), isText)) {
    wrong(key, "a name, or a list of names", *found);
    return result;
  }
  for (const Json &item : *found) result.push_back(item.get<std::string>());
  return result;
}

std::vector<int> JsonFields::sizes(const char *key, const std::optional<std::vector<int>> &otherwise) {
  constexpr int64_t kLargest = 4096;
  const Json *found = find(key, !otherwise);
  if (!found) return otherwise.value_or(std::vector<int>{});
  const auto isSize = [](const Json &item) {
    return item.is_number_integer() && item.get<int64_t>() >= 1 && item.get<int64_t>() <= kLargest;
  };
  std::vector<int> result;
  if (found->is_array() && std::all_of(found->begin(), found->end(), isSize))
    for (const Json &item : *found) result.push_back(item.get<int>());
  if (result.empty()) wrong(key, "a list of integers from 1 to " + std::to_string(kLargest), *found);
  return result;
}

std::vector<std::array<float, 2>> JsonFields::pairsOf(const char *key, const Json &list) {
  std::vector<std::array<float, 2>> result;
  if (list.is_array())
    for (const Json &item : list) {
      const bool two = item.is_array() && item.size() == 2;
      const auto width = two ? positive(item[0]) : std::nullopt,
                 height = two ? positive(item[1]) : std::nullopt;
      if (!width || !height) {
        wrong(key, "[width, height] of positive numbers", item);
        return {};
      }
      result.push_back({*width, *height});
    }
  if (result.empty()) wrong(key, "a list of [width, height]", list);
  return result;
}

std::vector<std::array<float, 2>> JsonFields::pairs(const char *key) {
  const Json *found = find(key, true);
  return found ? pairsOf(key, *found) : std::vector<std::array<float, 2>>{};
}

std::vector<std::vector<std::array<float, 2>>> JsonFields::pairLists(const char *key) {
  std::vector<std::vector<std::array<float, 2>>> result;
  const Json *found = find(key, true);
  if (found && (!found->is_array() || found->empty()))
    wrong(key, "a list of lists of [width, height]", *found);
  if (found && found->is_array())
    for (const Json &item : *found) result.push_back(pairsOf(key, item));
  return result;
}

std::array<float, 3> JsonFields::channels(const char *key, int count, float otherwise) {
  const Json *found = find(key, false);
  std::array<float, 3> result{otherwise, otherwise, otherwise};
  if (!found) return result;
  const auto finite = [](const Json &item) { return item.is_number() && std::isfinite(item.get<float>()); };
  if (finite(*found)) {
    result.fill(found->get<float>());
  } else if (found->is_array() && static_cast<int>(found->size()) == count &&
             std::all_of(found->begin(), found->end(), finite)) {
    for (size_t c = 0; c < found->size(); ++c) result[c] = (*found)[c].get<float>();
  } else {
    wrong(key,
          "a number" + (count > 1 ? ", or a list of " + std::to_string(count) + " numbers" : std::string()),
          *found);
  }
  return result;
}

void JsonFields::finish() {
  if (!value) return;
  for (const auto &[key, unused] : value->items()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    const auto meant = nearestWord(key, known);
    std::string fields;
    for (const std::string &field : known)
      if (fields.find("\"" + field + "\"") == std::string::npos)
        fields += (fields.empty() ? "\"" : ", \"") + field + "\"";
    wrong("unknown field " + shown(Json(key)) +
          (meant ? "; did you mean \"" + *meant + "\"?" : "; the fields here are " + fields));
  }
}

} // namespace planish::run
