"""Runs a compiled model once, on zeros, and prints the first elements of its outputs:

    compile-model net.onnx -o net
    python run.py net
"""

import sys

import numpy
import planish


def main(folder):
    net = planish.load(folder)
    zeros = {info.name: numpy.zeros([low for low, _ in bounds(info)], info.dtype) for info in net.inputs}
    for name, value in net(zeros).items():
        first = " ".join(f"{x:g}" for x in value.ravel()[:4])
        print(f"{name}: {'x'.join(map(str, value.shape))} {first}".rstrip())


def bounds(info):
    """The least and the largest size of each dimension."""
    return [size if isinstance(size, tuple) else (size, size) for size in info.shape]


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except planish.LoadError as error:
        sys.exit(f"error: {error}")
