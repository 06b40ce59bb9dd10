// What emitted OpenCL with Intel's channels needs to be C++: kernels are functions, channels bounded queues.
#pragma once

#include "fifo.h"

#include <thread>

typedef unsigned char uchar;
typedef unsigned long long ulong_of_opencl;
#define ulong ulong_of_opencl
#define __kernel
#define __global
#define restrict __restrict
#define CHANNEL(type, name) static emulation::Fifo<type> name(#name, FIFO_DEPTH)
#define read_channel_intel(queue) (queue).read()
#define write_channel_intel(queue, value) (queue).write(value)
#ifndef FIFO_DEPTH
#define FIFO_DEPTH 64
#endif
