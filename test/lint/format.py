"""Checks that clang-format 19 would change nothing; with --fix, lets it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("include", "lib", "tools", "runtime", "python", "test", "bench", "examples")
SUFFIXES = {".cpp", ".h", ".c"}


def main():
    sources = [str(path.relative_to(ROOT)) for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*"))
               if path.suffix in SUFFIXES]
    mode = ["-i"] if "--fix" in sys.argv[1:] else ["--dry-run", "--Werror", "--ferror-limit=1"]
    return subprocess.run(["clang-format-19", *mode, *sources], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
