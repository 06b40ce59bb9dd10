#include "Dialect.h"

#include "CudaText.h"

namespace planish::codegen {
namespace {

// Behind the types of <stdint.h>. Conversions truncate and saturate, NaN gives 0; division rounds down.
constexpr std::string_view kScalarHelpers =
    R"(#define PL_ORDER(name, type) \
  PL_FUNCTION type pl_min_##name(type a, type b) { return a < b ? a : b; } \
  PL_FUNCTION type pl_max_##name(type a, type b) { return a > b ? a : b; }
#define PL_DIVIDE(name, type) \
  PL_FUNCTION type pl_floordiv_##name(type a, type b) { \
    type q = a / b, r = a % b; \
    return r != 0 && (r < 0) != (b < 0) ? q - 1 : q; \
  } \
  PL_FUNCTION type pl_floormod_##name(type a, type b) { \
    type r = a % b; \
    return r != 0 && (r < 0) != (b < 0) ? r + b : r; \
  }
#define PL_CONVERT_FROM(from, real, name, type, low, high, limit) \
  PL_FUNCTION type pl_##name##_of_##from(real x) { \
    return x != x ? 0 : x >= limit ? high : x <= low ? (type)low : (type)x; \
  }
#if !defined(__OPENCL_VERSION__) || defined(cl_khr_fp64)
#define PL_CONVERT(...) PL_CONVERT_FROM(f32, float, __VA_ARGS__) PL_CONVERT_FROM(f64, double, __VA_ARGS__)
PL_ORDER(f64, double)
PL_FUNCTION double pl_abs_f64(double x) { return fabs(x); }
PL_FUNCTION double pl_round_f64(double x) { return rint(x); }
PL_FUNCTION double pl_floor_f64(double x) { return floor(x); }
PL_FUNCTION double pl_ceil_f64(double x) { return ceil(x); }
PL_FUNCTION double pl_sqrt_f64(double x) { return sqrt(x); }
#else
#define PL_CONVERT(...) PL_CONVERT_FROM(f32, float, __VA_ARGS__)
#endif
PL_ORDER(f32, float) PL_ORDER(i64, int64_t) PL_ORDER(i32, int32_t) PL_ORDER(u8, uint8_t) PL_ORDER(i8, int8_t)
PL_ORDER(b1, int) PL_ORDER(u16, uint16_t) PL_ORDER(i16, int16_t) PL_ORDER(u32, uint32_t) PL_ORDER(u64, uint64_t)
#define PL_DIVIDE_UNSIGNED(name, type) \
  PL_FUNCTION type pl_floordiv_##name(type a, type b) { return a / b; } \
  PL_FUNCTION type pl_floormod_##name(type a, type b) { return a % b; }
#define PL_SHIFT(name, type, whole, bits, rest) \
  PL_FUNCTION type pl_shl_##name(type a, type b) { \
    return (uint64_t)b < bits ? (type)((uint64_t)(whole)a << (int)b) : (type)0; \
  } \
  PL_FUNCTION type pl_shr_##name(type a, type b) { \
    return (type)((uint64_t)b < bits ? a >> (int)b : rest); \
  }
PL_DIVIDE(i64, int64_t) PL_DIVIDE(i32, int32_t) PL_DIVIDE(i16, int16_t) PL_DIVIDE(i8, int8_t)
PL_DIVIDE_UNSIGNED(u8, uint8_t) PL_DIVIDE_UNSIGNED(u16, uint16_t)
PL_DIVIDE_UNSIGNED(u32, uint32_t) PL_DIVIDE_UNSIGNED(u64, uint64_t)
PL_SHIFT(u8, uint8_t, uint8_t, 8, 0) PL_SHIFT(u16, uint16_t, uint16_t, 16, 0)
PL_SHIFT(u32, uint32_t, uint32_t, 32, 0) PL_SHIFT(u64, uint64_t, uint64_t, 64, 0)
PL_SHIFT(i8, int8_t, uint8_t, 8, a >> 7) PL_SHIFT(i16, int16_t, uint16_t, 16, a >> 15)
PL_SHIFT(i32, int32_t, uint32_t, 32, a >> 31) PL_SHIFT(i64, int64_t, uint64_t, 64, a >> 63)
PL_CONVERT(u8, uint8_t, 0.0f, 255, 255.0f)
PL_CONVERT(i8, int8_t, -128.0f, 127, 127.0f)
PL_CONVERT(i32, int32_t, -2147483648.0f, 2147483647, 2147483648.0f)
PL_CONVERT(i64, int64_t, -9223372036854775808.0f, 9223372036854775807, 9223372036854775808.0f)
PL_CONVERT(u16, uint16_t, 0.0f, 65535, 65535.0f)
PL_CONVERT(i16, int16_t, -32768.0f, 32767, 32767.0f)
PL_CONVERT(u32, uint32_t, 0.0f, 4294967295u, 4294967296.0f)
PL_CONVERT(u64, uint64_t, 0.0f, 18446744073709551615u, 18446744073709551616.0f)
PL_FUNCTION float pl_abs_f32(float x) { return pl_from_bits(pl_bits(x) & 0x7fffffff); }
PL_FUNCTION int32_t pl_abs_i32(int32_t x) { return x < 0 ? (int32_t)(0u - (uint32_t)x) : x; }
PL_FUNCTION int64_t pl_abs_i64(int64_t x) { return x < 0 ? -x : x; }
PL_FUNCTION float pl_scale2(float x, float n) { return x * pl_from_bits(((int32_t)n + 127) << 23); }
)";

constexpr std::string_view kCPrelude = R"(#include <math.h>
#include <stdint.h>
#include <string.h>

#define PL_FUNCTION static inline
PL_FUNCTION int32_t pl_bits(float x) { int32_t r; memcpy(&r, &x, 4); return r; }
PL_FUNCTION float pl_from_bits(int32_t x) { float r; memcpy(&r, &x, 4); return r; }
#define pl_fma fmaf
#define pl_round rintf
#define pl_floor floorf
#define pl_ceil ceilf
#define pl_sqrt sqrtf
#define PL_INFINITY INFINITY
#define PL_NAN NAN
)";

constexpr std::string_view kOpenClPrelude = R"(#pragma OPENCL FP_CONTRACT OFF
typedef uchar uint8_t;
typedef char int8_t;
typedef ushort uint16_t;
typedef short int16_t;
typedef int int32_t;
typedef uint uint32_t;
typedef long int64_t;
typedef ulong uint64_t;

#define PL_FUNCTION inline
#define pl_bits as_int
#define pl_from_bits as_float
#define pl_fma fma
#define pl_round rint
#define pl_floor floor
#define pl_ceil ceil
#define pl_sqrt sqrt
#define PL_INFINITY INFINITY
#define PL_NAN nan(0u)
)";

constexpr std::string_view kOpenClVectors = R"(#define PL_VECTOR(n) \
  PL_FUNCTION float##n pl_min_f32x##n(float##n a, float##n b) { return select(b, a, a < b); } \
  PL_FUNCTION float##n pl_max_f32x##n(float##n a, float##n b) { return select(b, a, a > b); } \
  PL_FUNCTION int##n pl_min_i32x##n(int##n a, int##n b) { return min(a, b); } \
  PL_FUNCTION int##n pl_max_i32x##n(int##n a, int##n b) { return max(a, b); } \
  PL_FUNCTION int##n pl_bitsx##n(float##n x) { return as_int##n(x); } \
  PL_FUNCTION float##n pl_from_bitsx##n(int##n x) { return as_float##n(x); } \
  PL_FUNCTION float##n pl_abs_f32x##n(float##n x) { return fabs(x); } \
  PL_FUNCTION int##n pl_abs_i32x##n(int##n x) { return as_int##n(abs(x)); } \
  PL_FUNCTION float##n pl_scale2x##n(float##n x, float##n k) { \
    return x * as_float##n((convert_int##n(k) + 127) << 23); \
  }
PL_VECTOR(2) PL_VECTOR(4) PL_VECTOR(8) PL_VECTOR(16)
// c + the products of four unsigned bytes by the four signed ones in every word of w.
#define PL_DOT(n) \
  PL_FUNCTION int##n pl_dot4_x##n(uchar4 x, int##n w, int##n c) { \
    return c + (int##n)((int)x.s0) * ((w << 24) >> 24) + (int##n)((int)x.s1) * ((w << 16) >> 24) + \
           (int##n)((int)x.s2) * ((w << 8) >> 24) + (int##n)((int)x.s3) * (w >> 24); \
  }
PL_DOT(2) PL_DOT(4) PL_DOT(8) PL_DOT(16)
)";

constexpr int kVectorLanes[] = {2, 4, 8, 16};

constexpr std::string_view kCParts[] = {kCPrelude, kScalarHelpers};
constexpr std::string_view kOpenClParts[] = {kOpenClPrelude, kScalarHelpers, kOpenClVectors};
constexpr std::string_view kCudaParts[] = {kCudaPrelude, kScalarHelpers, kCudaVectors, kCudaWarps};

constexpr std::string_view kReserved[] = {
    "auto",     "break",   "case",    "char",     "const",    "continue", "default",    "do",
    "double",   "else",    "enum",    "extern",   "float",    "for",      "goto",       "if",
    "inline",   "int",     "long",    "register", "restrict", "return",   "short",      "signed",
    "sizeof",   "static",  "struct",  "switch",   "typedef",  "union",    "unsigned",   "void",
    "volatile", "while",   "kernel",  "global",   "local",    "constant", "private",    "uchar",
    "ushort",   "uint",    "ulong",   "half",     "quad",     "bool",     "true",       "false",
    "size_t",   "int8_t",  "uint8_t", "int32_t",  "uint32_t", "int64_t",  "uint64_t",   "fma",
    "floor",    "ceil",    "sqrt",    "rint",     "min",      "max",      "abs",        "select",
    "fmaf",     "rintf",   "floorf",  "ceilf",    "sqrtf",    "memcpy",   "INFINITY",   "NAN",
    "buffers",  "scalars", "begin",   "end",      "inputs",   "outputs",  "input_dims", "output_dims",
    "arena",    "exp",     "log",     "tanh",     "erf",      "sin",      "cos",        "y0",
    "y1",       "j0",      "j1",      "yn",       "jn",       "gamma",    "step",       "mix",
    "clamp",    "dot",     "cross",   "length",   "distance", "any",      "all",        "pipe",
    "image",    "sampler", "event",   "main",     "scratch",  "class",    "template",   "this",
    "new",      "delete",  "and",     "or",       "not",      "xor",      "operator",   "private",
    "public",   "using",   "try",     "catch",    "throw",    "friend",   "explicit",   "namespace",
    "typename", "virtual", "mutable", "export",   "asm",      "compl",    "protected",  "typeid",
    "std"};

} // namespace

const CDialect kC11{.name = "c11",
                    .prelude = kCParts,
                    .kernel = "void",
                    .groupOf = "",
                    .memory = "",
                    .restrict = "restrict",
                    .arrays = true,
                    .offsets = false,
                    .task = "",
                    .group = "",
                    .item = "",
                    .barrier = "",
                    .shared = "",
                    .lanes = {},
                    .vectorPrefix = "",
                    .overloads = false,
                    .align = "",
                    .unroll = "",
                    .warps = false,
                    .reserved = kReserved};
const CDialect kOpenCl12{.name = "opencl",
                         .prelude = kOpenClParts,
                         .kernel = "__kernel",
                         .groupOf = " __attribute__((reqd_work_group_size(#, 1, 1))) void",
                         .memory = "__global ",
                         .restrict = "restrict",
                         .arrays = false,
                         .offsets = true,
                         .task = "get_global_id(0)",
                         .group = "get_group_id(0)",
                         .item = "get_local_id(0)",
                         .barrier = "barrier(CLK_LOCAL_MEM_FENCE);",
                         .shared = "__local ",
                         .lanes = kVectorLanes,
                         .vectorPrefix = "",
                         .overloads = false,
                         .align = "",
                         .unroll = "",
                         .warps = false,
                         .reserved = kReserved};
const CDialect kCuda{.name = "cuda",
                     .prelude = kCudaParts,
                     .kernel = "extern \"C\" __global__",
                     .groupOf = " __launch_bounds__(#) void",
                     .memory = "",
                     .restrict = "__restrict__",
                     .arrays = false,
                     .offsets = false,
                     .task = "(int64_t)blockIdx.x * blockDim.x + threadIdx.x",
                     .group = "blockIdx.x",
                     .item = "threadIdx.x",
                     .barrier = "pl_barrier();",
                     .shared = "__shared__ ",
                     .lanes = kVectorLanes,
                     .vectorPrefix = "pl_",
                     .overloads = true,
                     .align = "__align__(16) ",
                     .unroll = "PL_UNROLL ",
                     .warps = true,
                     .reserved = kReserved};

std::string_view scalarType(DType t) {
  constexpr std::string_view names[] = {"uint8_t",  "uint8_t",  "int8_t",  "int32_t",  "int64_t",
                                        "float",    "uint16_t", "int16_t", "uint32_t", "uint64_t",
                                        "uint16_t", "uint16_t", "double"};
  return names[int(t)];
}

std::string_view vectorElement(DType t) {
  constexpr std::string_view names[] = {"int",   "uchar", "char",  "int",    "long",   "float", "ushort",
                                        "short", "uint",  "ulong", "ushort", "ushort", "double"};
  return names[int(t)];
}

} // namespace planish::codegen
