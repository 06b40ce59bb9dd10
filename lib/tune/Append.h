// Writing a tuning database.
#pragma once

#include "planish/schedule/Tuning.h"

#include <string>

namespace planish::tune {

/// The file, open for appending; made if it is not there. Every record is one write, so that processes may
/// share a file and a killed one leaves whole lines.
class DatabaseWriter {
public:
  static Result<DatabaseWriter> open(const std::string &path);
  DatabaseWriter(DatabaseWriter &&other) noexcept;
  DatabaseWriter &operator=(DatabaseWriter &&) = delete;
  ~DatabaseWriter();

  Status append(const schedule::TuningRecord &record);

private:
  DatabaseWriter(std::string path, int file) : path(std::move(path)), file(file) {}
  std::string path;
  int file;
};

} // namespace planish::tune
