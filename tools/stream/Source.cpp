#include "Source.h"

#include "Video.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <vector>

namespace planish::stream {
namespace {

namespace fs = std::filesystem;

bool isPicture(const fs::path &path) {
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return ending == ".png" || ending == ".jpg" || ending == ".jpeg";
}

class Pictures final : public Source {
public:
  Pictures(std::vector<fs::path> files, SourceKind kind) : files(std::move(files)), sourceKind(kind) {}

  Result<bool> next(SourceFrame &frame) override {
    if (at == files.size()) return false;
    const fs::path &file = files[at++];
    PLANISH_ASSIGN(frame.pixels, run::readPixels(file.string(), 3));
    frame.file = file.filename().string();
    return true;
  }
  SourceKind kind() const override { return sourceKind; }

private:
  std::vector<fs::path> files;
  SourceKind sourceKind;
  size_t at = 0;
};

} // namespace

Result<std::unique_ptr<Source>> openSource(const std::string &path) {
  std::error_code ec;
  const fs::file_status status = fs::status(path, ec);
  if (!fs::exists(status))
    return badInput("there is no '" + path + "'; SOURCE is a picture, a folder or a video");
  if (!fs::is_directory(status)) {
    if (!isPicture(path)) return openVideo(path);
    return std::unique_ptr<Source>(new Pictures({path}, SourceKind::Picture));
  }
  std::vector<fs::path> files;
  fs::directory_iterator it(path, ec);
  for (const fs::directory_iterator end; !ec && it != end; it.increment(ec))
    if (isPicture(it->path())) files.push_back(it->path());
  if (ec) return badInput("cannot read folder '" + path + "': " + ec.message());
  if (files.empty()) return badInput("folder '" + path + "' has no pictures (.png, .jpg, .jpeg)");
  std::sort(files.begin(), files.end());
  return std::unique_ptr<Source>(new Pictures(std::move(files), SourceKind::Folder));
}

} // namespace planish::stream
