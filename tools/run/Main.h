// The frame of a tool's main: flags, one line for what goes wrong, the contract's exit codes.
#pragma once

#include "planish/support/Result.h"

#include <CLI/CLI.hpp>

#include <exception>
#include <functional>
#include <iostream>

namespace planish::run {

/// The exit code of a status; an error is printed.
inline int exitOf(const Status &status) {
  if (status) return 0;
  std::cerr << "error: " << status.error().text << "\n";
  return exitCode(status.error().kind);
}

/// Parses the flags, then runs `tool`, which returns the exit code.
inline int toolMain(CLI::App &app, int argc, char **argv, const std::function<int()> &tool) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    std::cerr << "error: " << error.what() << "\nnote: " << app.get_name() << " --help lists the flags\n";
    return exitCode(ErrorKind::Usage);
  }
  try {
    return tool();
  } catch (const std::exception &error) {
    std::cerr << "internal error: " << error.what() << "\n";
    return 70;
  }
}

} // namespace planish::run
