"""Kernels through schedule and machine code, in percent of this core's peak: ./dev bench kernels [part of a name]"""

import os
import sys

binary = os.path.join(os.environ["PLANISH_BIN"], "bench-kernels")
os.execv(binary, [binary, *sys.argv[1:]])
