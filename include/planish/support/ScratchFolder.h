// A temporary folder, gone with the object.
#pragma once

#include "planish/support/Result.h"

#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>

namespace planish {

/// A folder for the time of its life.
class ScratchFolder {
public:
  static Result<ScratchFolder> make() {
    std::error_code error;
    std::string pattern = (std::filesystem::temp_directory_path(error) / "planish.XXXXXX").string();
    if (error || !mkdtemp(pattern.data()))
      return failed("cannot make a folder in '" + std::filesystem::path(pattern).parent_path().string() +
                    "'; TMPDIR names another place");
    return ScratchFolder(pattern);
  }
  ScratchFolder(ScratchFolder &&other) noexcept : path(std::exchange(other.path, {})) {}
  ScratchFolder &operator=(ScratchFolder &&) = delete;
  ~ScratchFolder() {
    std::error_code ignored;
    if (!path.empty()) std::filesystem::remove_all(path, ignored);
  }
  const std::string &name() const { return path; }
  std::string file(const std::string &in) const { return path + "/" + in; }

private:
  explicit ScratchFolder(std::string path) : path(std::move(path)) {}
  std::string path;
};

} // namespace planish
