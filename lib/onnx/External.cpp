// External data: five successive fixes of path checks in other importers say how not to do it. Every
// component is opened by itself without following links, so that no name can lead out of the folder.
#include "Tensors.h"
#include "Text.h"

#include <charconv>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace planish::onnx {

namespace {

/// An open file descriptor.
class Descriptor {
public:
  explicit Descriptor(int fd) : fd(fd) {}
  Descriptor(const Descriptor &) = delete;
  Descriptor &operator=(const Descriptor &) = delete;
  ~Descriptor() { reset(-1); }
  void reset(int next) {
    if (fd >= 0) ::close(fd);
    fd = next;
  }
  int get() const { return fd; }

private:
  int fd;
};

struct Place {
  std::string location;
  int64_t offset = 0, length = -1;
};

Result<Place> placeOf(const ::onnx::TensorProto &t, const std::string &what) {
  Place p;
  for (const auto &entry : t.external_data()) {
    auto number = [&](int64_t &value) -> Status {
      const std::string &text = entry.value();
      auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (error != std::errc() || end != text.data() + text.size() || value < 0)
        return badInput(what + ": external data has " + entry.key() + " " + shown(text));
      return {};
    };
    if (entry.key() == "location") p.location = entry.value();
    else if (entry.key() == "offset") PLANISH_TRY(number(p.offset));
    else if (entry.key() == "length") PLANISH_TRY(number(p.length));
    else if (entry.key() != "checksum")
      return badInput(what + ": external data has the unknown key " + shown(entry.key()));
  }
  return p;
}

/// Opens `location` below the folder, component by component.
Status openBeneath(Descriptor &fd, const std::filesystem::path &folder, const std::string &location,
                   const std::string &what) {
  fd.reset(::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  std::string_view rest = location;
  while (fd.get() >= 0) {
    size_t slash = rest.find('/');
    std::string part(rest.substr(0, slash));
    if (part.empty() || part == "." || part == ".." || part.find('\0') != std::string::npos)
      return badInput(what + ": external data must lie inside the model's folder, not at " + shown(location));
    bool last = slash == std::string_view::npos;
    int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | (last ? O_NONBLOCK : O_DIRECTORY);
    fd.reset(::openat(fd.get(), part.c_str(), flags));
    if (last) break;
    rest.remove_prefix(slash + 1);
  }
  if (fd.get() >= 0) return {};
  return badInput(what + ": cannot open external data " + shown(location) + " (links are not followed)");
}

} // namespace

Result<std::vector<std::byte>> externalData(const ::onnx::TensorProto &t, int64_t bytes,
                                            const std::string &what, const FileContext &file) {
  PLANISH_ASSIGN(Place place, placeOf(t, what));
  Descriptor fd(-1);
  PLANISH_TRY(openBeneath(fd, file.folder, place.location, what));
  struct stat info;
  if (::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode))
    return badInput(what + ": external data " + shown(place.location) + " is not a regular file");
  if (place.length >= 0 && place.length != bytes)
    return badInput(what + " has " + std::to_string(place.length) +
                    " bytes of external data, its dimensions need " + std::to_string(bytes));
  if (place.offset > info.st_size || bytes > info.st_size - place.offset)
    return badInput(what + ": external data " + shown(place.location) + " has " +
                    std::to_string(info.st_size) + " bytes, needed are " + std::to_string(bytes) + " from " +
                    std::to_string(place.offset) + " on");
  std::vector<std::byte> data(static_cast<size_t>(bytes));
  for (int64_t done = 0; done < bytes;) {
    ssize_t n = ::pread(fd.get(), data.data() + done, size_t(bytes - done), place.offset + done);
    if (n <= 0) return badInput(what + ": cannot read external data " + shown(place.location));
    done += n;
  }
  return data;
}

} // namespace planish::onnx
