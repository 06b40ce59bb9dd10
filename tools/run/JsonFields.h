// Reading a JSON object field by field with one good complaint. A getter that meets something wrong notes the
// first complaint and returns the default, so readers stay straight lines and ask once at the end.
#pragma once

#include "planish/support/Result.h"

#include <nlohmann/json.hpp>

#include <array>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace planish::run {

/// The document in `text`; a BadInput that names `path` where it is none.
Result<nlohmann::json> parseJson(const std::string &text, const std::string &path);

/// Where the first complaint of a document is kept.
struct JsonComplaint {
  std::string file;
  std::string description; ///< the page that describes such documents
  std::optional<Diagnostic> first;

  /// "FILE: PATH: text".
  void note(const std::string &path, const std::string &text) {
    if (!first) first = badInput("'" + file + "': " + path + ": " + text);
  }
};

/// A word of a field with few values.
template <class E> struct Word {
  const char *text;
  E value;
};

/// One object of the document. Fields asked for are known; finish() complains about all others. An object
/// that is absent gives every default.
class JsonFields {
public:
  JsonFields(const nlohmann::json *value, std::string path, JsonComplaint &complaint);

  bool has(const char *key);
  JsonFields object(const char *key, bool required);
  std::vector<JsonFields> objects(const char *key);

  int integer(const char *key, int low, int high, std::optional<int> otherwise = {});
  /// Finite and within [low, high].
  float number(const char *key, float low, float high, std::optional<float> otherwise = {});
  bool boolean(const char *key, bool otherwise);
  std::string text(const char *key, const std::optional<std::string> &otherwise = {});
  /// A string, or a list of strings; empty where absent.
  std::vector<std::string> texts(const char *key);
  /// A list of integers of at least 1.
  std::vector<int> sizes(const char *key, const std::optional<std::vector<int>> &otherwise = {});
  /// [[w, h], ...], all positive.
  std::vector<std::array<float, 2>> pairs(const char *key);
  /// [[[w, h], ...], ...], all positive.
  std::vector<std::vector<std::array<float, 2>>> pairLists(const char *key);
  /// One number for all `count` channels, or a list of `count`.
  std::array<float, 3> channels(const char *key, int count, float otherwise);

  template <class E>
  E choice(const char *key, std::initializer_list<Word<E>> words, std::optional<E> otherwise = {}) {
    const nlohmann::json *value = find(key, !otherwise);
    std::string expected;
    for (const Word<E> &word : words) {
      if (value && value->is_string() && value->get_ref<const std::string &>() == word.text)
        return word.value;
      expected += (expected.empty() ? "\"" : ", \"") + std::string(word.text) + "\"";
    }
    if (value) wrong(key, "one of " + expected, *value);
    return otherwise.value_or(words.begin()->value);
  }

  /// Complains about the object itself or one of its fields.
  void wrong(const std::string &text) { complaint->note(path, text); }
  void wrong(const char *key, const std::string &expected, const nlohmann::json &found);
  void wrongField(const char *key, const std::string &text) { complaint->note(path + "." + key, text); }

  /// Complains about fields nobody asked for.
  void finish();

private:
  const nlohmann::json *find(const char *key, bool required);
  std::vector<std::array<float, 2>> pairsOf(const char *key, const nlohmann::json &list);

  const nlohmann::json *value; ///< an object, or null
  std::string path;
  JsonComplaint *complaint;
  std::vector<std::string> known;
};

/// The word of `words` that `text` may have been meant to be: fewest edits, at most a third of its letters.
std::optional<std::string> nearestWord(const std::string &text, const std::vector<std::string> &words);

} // namespace planish::run
