/* The binary interface between generated code and the runtime.
 *
 * A compiled model is one constant `planish_model`: what goes in and out, how much memory it takes, its
 * weights and one host function that launches the kernels in order. The compiler writes these structures as
 * constants, the runtime and its users only read them. Natural layout, pointers and fixed-width integers
 * only, so every compiler for one machine agrees about them. Any change of layout or meaning raises
 * PLANISH_ABI. C11 and C++. */
#ifndef PLANISH_ABI_H
#define PLANISH_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PLANISH_ABI 1u
#define PLANISH_MAX_RANK 8
#define PLANISH_ALIGNMENT 64 /* of the arena, of weights and of outputs owned by an instance */
#define PLANISH_ARENA_TAIL 64 /* readable bytes behind the planned arena, added by the runtime */

/* Symbol names that carry the version, so that models of several versions link into one program. */
#define PLANISH_LAUNCH_SYMBOL "planish_launch_v1"
#define PLANISH_OPENCL_LAUNCH_SYMBOL "planish_opencl_launch_v1"
#define PLANISH_OPENCL_HOOKS_SYMBOL "planish_opencl_hooks_v1"
#define PLANISH_CUDA_LAUNCH_SYMBOL "planish_cuda_launch_v1"
#define PLANISH_CUDA_HOOKS_SYMBOL "planish_cuda_hooks_v1"
#define PLANISH_API_SYMBOL "planish_api_v1"
#define PLANISH_QUERY_SYMBOL "planish_query"

typedef struct planish_instance planish_instance;
typedef struct planish_api planish_api; /* the runtime's function table, see runtime.h */

/* Element types, numbered as in ONNX. */
typedef enum planish_dtype {
  PLANISH_F32 = 1,
  PLANISH_U8 = 2,
  PLANISH_I8 = 3,
  PLANISH_U16 = 4,
  PLANISH_I16 = 5,
  PLANISH_I32 = 6,
  PLANISH_I64 = 7,
  PLANISH_BOOL = 9, /* one byte, 0 or 1 */
  PLANISH_F16 = 10,
  PLANISH_F64 = 11,
  PLANISH_U32 = 12,
  PLANISH_U64 = 13,
  PLANISH_BF16 = 16
} planish_dtype;

/* Bytes of one element, 0 for no planish_dtype. */
static inline uint32_t planish_dtype_bytes(int32_t dtype) {
  static const unsigned char bytes[17] = {0, 4, 1, 1, 2, 2, 4, 8, 0, 1, 2, 8, 4, 8, 0, 0, 2};
  return dtype >= 0 && dtype < 17 ? bytes[dtype] : 0;
}

/* Runs tasks [begin, end) of the kernel's parallel loop. Any split of [0, tasks) into such calls, in any
 * order and at the same time, gives the same bytes. `scratch` is memory for this call alone, of
 * planish_model.scratch_bytes, aligned to PLANISH_ALIGNMENT, with any content. */
typedef void (*planish_kernel_fn)(void *const *buffers, const int64_t *scalars, void *scratch, int64_t begin,
                                  int64_t end);

/* What the host function works on; all of it is owned by the instance. */
typedef struct planish_frame {
  void *const *inputs;          /* [n_inputs], dense, ONNX layout, aligned to their element */
  void *const *outputs;         /* [n_outputs], dense, ONNX layout, room for max_bytes each */
  unsigned char *arena;         /* aligned to PLANISH_ALIGNMENT */
  const unsigned char *weights; /* aligned to PLANISH_ALIGNMENT */
  const int64_t *input_dims;    /* [n_inputs][PLANISH_MAX_RANK] */
  int64_t *output_dims; /* [n_outputs][PLANISH_MAX_RANK]; holds the upper bounds on entry, the host function
                           writes each dimension that is not constant */
  int64_t *symbols; /* [n_symbols]; those read off inputs are set on entry, -1 elsewhere; the host
                       function writes a symbol when it computes one that a listed value uses */
  planish_instance *instance; /* for planish_launch_v1 */
} planish_frame;

/* 0, or 1 + the index in `failures` of what went wrong. */
typedef int32_t (*planish_host_fn)(const planish_frame *frame);

/* Called by the host function: runs all `tasks` of a kernel and returns when they are done. `launch` is the
 * index in planish_model.launches. The arrays may live on the caller's stack. */
void planish_launch_v1(planish_instance *instance, uint32_t launch, planish_kernel_fn kernel,
                       void *const *buffers, const int64_t *scalars, int64_t tasks);

/* The same for a model with a device program; `buffers` are addresses of the frame's memory. */
struct planish_device_kernel;
void planish_opencl_launch_v1(planish_instance *instance, uint32_t launch,
                              const struct planish_device_kernel *kernel, void *const *buffers,
                              const int64_t *scalars, int64_t tasks);
void planish_cuda_launch_v1(planish_instance *instance, uint32_t launch,
                            const struct planish_device_kernel *kernel, void *const *buffers,
                            const int64_t *scalars, int64_t tasks);

/* A constant has lower == upper and symbol -1. */
typedef struct planish_dim {
  int64_t lower; /* inclusive */
  int64_t upper; /* inclusive */
  int32_t symbol; /* index in planish_model.symbols; equal symbols have equal sizes in one run */
  int32_t reserved;
} planish_dim;

typedef struct planish_tensor_info {
  const char *name; /* as in the ONNX graph */
  int32_t dtype; /* planish_dtype */
  int32_t rank;
  planish_dim dims[PLANISH_MAX_RANK]; /* [rank] */
  uint64_t max_bytes; /* dense, every dimension at its upper bound */
} planish_tensor_info;

typedef struct planish_symbol_info {
  const char *name;
  int64_t lower;
  int64_t upper;
} planish_symbol_info;

typedef struct planish_launch_info {
  const char *name; /* the kernel's symbol */
  const char *schedule; /* the template that made it */
  const char *nodes; /* the ONNX nodes it computes, separated by ", " */
  double flops; /* arithmetic operations of one launch, at the upper bounds */
  double bytes; /* bytes read and written once each, at the upper bounds */
} planish_launch_info;

typedef enum planish_region {
  PLANISH_REGION_ARENA = 0,
  PLANISH_REGION_WEIGHTS = 1,
  PLANISH_REGION_INPUT = 2,
  PLANISH_REGION_OUTPUT = 3
} planish_region;

/* A value of the ONNX graph that exists in memory. Arena memory is reused, so it holds only from the end of
 * its launch to the begin of a later one. */
typedef struct planish_value_info {
  const char *name; /* as in the ONNX graph */
  int32_t dtype; /* planish_dtype */
  int32_t rank;
  planish_dim dims[PLANISH_MAX_RANK]; /* [rank], in ONNX order */
  int64_t strides[PLANISH_MAX_RANK]; /* [rank], in elements, in ONNX order */
  int32_t region; /* planish_region */
  int32_t index; /* of the input or output, else 0 */
  uint64_t offset; /* bytes from the begin of the region */
  int32_t launch; /* the launch that completes it, -1: complete before the first */
  int32_t reserved;
} planish_value_info;

/* A memory parameter of a device kernel. */
typedef struct planish_device_param {
  uint64_t bytes; /* from the first to behind the last element, at the upper bounds */
  uint32_t element; /* bytes of one */
  uint32_t written; /* 0: only read */
} planish_device_param;

/* What planish_opencl_launch_v1 and planish_cuda_launch_v1 run: a function of the device program, or one on
 * the host, for work that devices are no good at (sorts, scans, data-dependent counts). */
typedef struct planish_device_kernel {
  const char *name; /* in the program's source */
  planish_kernel_fn host; /* NULL: the kernel runs on the device */
  const planish_device_param *params; /* [n_params] */
  uint32_t n_params;
  uint32_t n_scalars;
  uint32_t group; /* work-items of a group */
  uint32_t task_is_group; /* 1: a group runs one task together; 0: each work-item runs one */
  uint32_t index; /* in planish_device_program.kernels */
  uint32_t reserved;
} planish_device_kernel;

/* What a device runs of a model, in the device's language. */
typedef struct planish_device_program {
  const struct planish_device_hooks *hooks; /* the runtime's part for this kind of device */
  void **shared; /* what the instances of the model share, made by the first one */
  const char *source;
  uint64_t source_bytes;
  const planish_device_kernel *const *kernels; /* [n_kernels] */
  uint32_t n_kernels;
  uint32_t reserved;
} planish_device_program;

/* The device program of a model for CUDA, whose planish_model.device points to `base`. Without `cubin` NVRTC
 * compiles the source where the model is created. */
typedef struct planish_cuda_program {
  planish_device_program base;
  const void *cubin; /* machine code for `capability`, or NULL */
  uint64_t cubin_bytes;
  const char *ptx; /* for devices of later capabilities, ends with 0; or NULL */
  uint32_t capability; /* least compute capability of a device, as 87 for 8.7 */
  uint32_t reserved;
} planish_cuda_program;

typedef struct planish_model {
  uint32_t abi; /* PLANISH_ABI */
  uint32_t architecture; /* planish_architecture */
  uint64_t features; /* bits of its architecture's table below that the code needs */
  const char *name;
  const char *target; /* canonical target string */
  const char *build_id; /* hash of everything the build depends on */
  const planish_api *api;
  planish_host_fn host;
  const unsigned char *weights;
  uint64_t weights_bytes;
  uint64_t arena_bytes;
  uint64_t scratch_bytes; /* of each thread, beside the arena */
  const planish_tensor_info *inputs;
  const planish_tensor_info *outputs;
  const planish_symbol_info *symbols;
  const planish_launch_info *launches;
  const planish_value_info *values;
  const char *const *failures; /* texts for what the host function reports */
  uint32_t n_inputs;
  uint32_t n_outputs;
  uint32_t n_symbols;
  uint32_t n_launches;
  uint32_t n_values;
  uint32_t n_failures;
  const planish_device_program *device; /* NULL: everything runs on the host */
  const uint64_t *golden; /* [n_outputs] digests for planish_self_test: the first eight bytes of each output's
                             SHA-256, big end first; NULL: the model carries none */
} planish_model;

/* The one symbol a shared library exports: its model, or NULL when it was not built for this PLANISH_ABI. */
typedef const planish_model *(*planish_query_fn)(uint32_t abi);

typedef enum planish_architecture {
  PLANISH_ARCH_ANY = 0, /* no feature is checked */
  PLANISH_ARCH_X86_64 = 1,
  PLANISH_ARCH_ARM64 = 2,
  PLANISH_ARCH_ARM32 = 3
} planish_architecture;

/* CPU features a model may need: X(bit, enumerator, LLVM name, cpuid leaf, subleaf, register 0..3 = a b c d,
 * bit in it, state). State names what the operating system must save: 0 nothing, 1 ymm, 2 zmm, 3 tiles.
 * Baseline x86-64 is not listed. Numbers and bits after Intel's SDM volume 2A (CPUID) and AMD's APM volume 3
 * appendix E. */
#define PLANISH_X86_FEATURES(X)                                                                              \
  X(0, SSE3, "sse3", 1, 0, 2, 0, 0)                                                                          \
  X(1, SSSE3, "ssse3", 1, 0, 2, 9, 0)                                                                        \
  X(2, SSE41, "sse4.1", 1, 0, 2, 19, 0)                                                                      \
  X(3, SSE42, "sse4.2", 1, 0, 2, 20, 0)                                                                      \
  X(4, POPCNT, "popcnt", 1, 0, 2, 23, 0)                                                                     \
  X(5, CX16, "cx16", 1, 0, 2, 13, 0)                                                                         \
  X(6, MOVBE, "movbe", 1, 0, 2, 22, 0)                                                                       \
  X(7, PCLMUL, "pclmul", 1, 0, 2, 1, 0)                                                                      \
  X(8, AES, "aes", 1, 0, 2, 25, 0)                                                                           \
  X(9, AVX, "avx", 1, 0, 2, 28, 1)                                                                           \
  X(10, FMA, "fma", 1, 0, 2, 12, 1)                                                                          \
  X(11, F16C, "f16c", 1, 0, 2, 29, 1)                                                                        \
  X(12, AVX2, "avx2", 7, 0, 1, 5, 1)                                                                         \
  X(13, BMI, "bmi", 7, 0, 1, 3, 0)                                                                           \
  X(14, BMI2, "bmi2", 7, 0, 1, 8, 0)                                                                         \
  X(15, ADX, "adx", 7, 0, 1, 19, 0)                                                                          \
  X(16, SHA, "sha", 7, 0, 1, 29, 0)                                                                          \
  X(17, AVX512F, "avx512f", 7, 0, 1, 16, 2)                                                                  \
  X(18, AVX512DQ, "avx512dq", 7, 0, 1, 17, 2)                                                                \
  X(19, AVX512IFMA, "avx512ifma", 7, 0, 1, 21, 2)                                                            \
  X(20, AVX512CD, "avx512cd", 7, 0, 1, 28, 2)                                                                \
  X(21, AVX512BW, "avx512bw", 7, 0, 1, 30, 2)                                                                \
  X(22, AVX512VL, "avx512vl", 7, 0, 1, 31, 2)                                                                \
  X(23, AVX512VBMI, "avx512vbmi", 7, 0, 2, 1, 2)                                                             \
  X(24, AVX512VBMI2, "avx512vbmi2", 7, 0, 2, 6, 2)                                                           \
  X(25, GFNI, "gfni", 7, 0, 2, 8, 0)                                                                         \
  X(26, VAES, "vaes", 7, 0, 2, 9, 1)                                                                         \
  X(27, VPCLMULQDQ, "vpclmulqdq", 7, 0, 2, 10, 1)                                                            \
  X(28, AVX512VNNI, "avx512vnni", 7, 0, 2, 11, 2)                                                            \
  X(29, AVX512BITALG, "avx512bitalg", 7, 0, 2, 12, 2)                                                        \
  X(30, AVX512VPOPCNTDQ, "avx512vpopcntdq", 7, 0, 2, 14, 2)                                                  \
  X(31, AVX512VP2INTERSECT, "avx512vp2intersect", 7, 0, 3, 8, 2)                                             \
  X(32, AVX512FP16, "avx512fp16", 7, 0, 3, 23, 2)                                                            \
  X(33, AMX_BF16, "amx-bf16", 7, 0, 3, 22, 3)                                                                \
  X(34, AMX_TILE, "amx-tile", 7, 0, 3, 24, 3)                                                                \
  X(35, AMX_INT8, "amx-int8", 7, 0, 3, 25, 3)                                                                \
  X(36, AVXVNNI, "avxvnni", 7, 1, 0, 4, 1)                                                                   \
  X(37, AVX512BF16, "avx512bf16", 7, 1, 0, 5, 2)                                                             \
  X(38, AVXIFMA, "avxifma", 7, 1, 0, 23, 1)                                                                  \
  X(39, AVXVNNIINT8, "avxvnniint8", 7, 1, 3, 4, 1)                                                           \
  X(40, AVXNECONVERT, "avxneconvert", 7, 1, 3, 5, 1)                                                         \
  X(41, AVXVNNIINT16, "avxvnniint16", 7, 1, 3, 10, 1)                                                        \
  X(42, MOVDIRI, "movdiri", 7, 0, 2, 27, 0)                                                                  \
  X(43, LZCNT, "lzcnt", 0x80000001, 0, 2, 5, 0)                                                              \
  X(44, SSE4A, "sse4a", 0x80000001, 0, 2, 6, 0)                                                              \
  X(45, PRFCHW, "prfchw", 0x80000001, 0, 2, 8, 0)                                                            \
  X(46, SAHF, "sahf", 0x80000001, 0, 2, 0, 0)

/* X(bit, enumerator, LLVM name, auxiliary vector word 0 = HWCAP 1 = HWCAP2, bit in it), after Linux
 * asm/hwcap.h. */
#define PLANISH_ARM64_FEATURES(X)                                                                            \
  X(0, NEON, "neon", 0, 1)                                                                                   \
  X(1, CRC, "crc", 0, 7)                                                                                     \
  X(2, LSE, "lse", 0, 8)                                                                                     \
  X(3, FULLFP16, "fullfp16", 0, 10)                                                                          \
  X(4, RDM, "rdm", 0, 12)                                                                                    \
  X(5, DOTPROD, "dotprod", 0, 20)                                                                            \
  X(6, FP16FML, "fp16fml", 0, 23)                                                                            \
  X(7, SVE, "sve", 0, 22)                                                                                    \
  X(8, SVE2, "sve2", 1, 1)                                                                                   \
  X(9, I8MM, "i8mm", 1, 13)                                                                                  \
  X(10, BF16, "bf16", 1, 14)                                                                                 \
  X(11, RCPC, "rcpc", 0, 15)                                                                                 \
  X(12, COMPLXNUM, "complxnum", 0, 14)

/* The same for 32 bits. */
#define PLANISH_ARM32_FEATURES(X)                                                                            \
  X(0, NEON, "neon", 0, 12)                                                                                  \
  X(1, VFP4, "vfp4", 0, 16)                                                                                  \
  X(2, DIVIDE, "hwdiv-arm", 0, 17)

enum planish_x86_feature {
#define PLANISH_ENUMERATOR(index, name, text, leaf, subleaf, reg, bit, state) PLANISH_X86_##name = (index),
  PLANISH_X86_FEATURES(PLANISH_ENUMERATOR)
#undef PLANISH_ENUMERATOR
};

enum planish_arm64_feature {
#define PLANISH_ENUMERATOR(index, name, text, word, bit) PLANISH_ARM64_##name = (index),
  PLANISH_ARM64_FEATURES(PLANISH_ENUMERATOR)
#undef PLANISH_ENUMERATOR
};

enum planish_arm32_feature {
#define PLANISH_ENUMERATOR(index, name, text, word, bit) PLANISH_ARM32_##name = (index),
  PLANISH_ARM32_FEATURES(PLANISH_ENUMERATOR)
#undef PLANISH_ENUMERATOR
};

#ifdef __cplusplus
}
#endif

#endif
