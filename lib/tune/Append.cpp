#include "Append.h"

#include <cerrno>
#include <fcntl.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace planish::tune {
namespace {

Diagnostic cannot(const std::string &what, const std::string &path) {
  return failed("cannot " + what + " the tuning database '" + path +
                "': " + std::generic_category().message(errno));
}

} // namespace

Result<DatabaseWriter> DatabaseWriter::open(const std::string &path) {
  int file = ::open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  if (file < 0) return cannot("open", path);
  DatabaseWriter r(path, file);
  // A last line without its end would swallow the next record.
  char last = '\n';
  off_t size = lseek(file, 0, SEEK_END);
  if (size > 0 && (pread(file, &last, 1, size - 1) != 1 || (last != '\n' && write(file, "\n", 1) != 1)))
    return cannot("write", path);
  return r;
}

DatabaseWriter::DatabaseWriter(DatabaseWriter &&other) noexcept
    : path(std::move(other.path)), file(std::exchange(other.file, -1)) {}

DatabaseWriter::~DatabaseWriter() {
  if (file >= 0) close(file);
}

Status DatabaseWriter::append(const schedule::TuningRecord &record) {
  std::string line = print(record) + "\n";
  errno = 0;
  if (write(file, line.data(), line.size()) != ssize_t(line.size())) return cannot("write", path);
  return {};
}

} // namespace planish::tune
