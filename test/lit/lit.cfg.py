"""Text in, text out. `RUN:` lines find the tools of the build, and FileCheck, by name.

A test of a tool says `REQUIRES: <tool>`, and is then skipped where that tool is not built.
"""

import os

import lit.formats

config.name = "planish"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".test"]
config.test_source_root = os.path.dirname(__file__)
config.environment["PATH"] = os.pathsep.join([config.planish_bin, config.llvm_tools, os.environ["PATH"]])
for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
    if name in os.environ:
        config.environment[name] = os.environ[name]
config.available_features.update(tool for tool in config.planish_tools if tool)
config.substitutions.append(("%version", config.planish_version))
