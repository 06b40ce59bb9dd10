/* A compiled model written by hand, for tests of everything that uses one.
 *
 *   images f32 [n, 3, 4, 5] with n in 1..4, gain f32 [], offset i64 []
 *   -> scaled f32 [n, 3, 4, 5] = images * gain + offset, size i64 [] = elements of images
 *
 * Between the two launches images * gain lies channels last in the arena and is listed as the value "hidden".
 */
#include "planish/runtime.h"

#ifndef HANDMADE_FEATURES
#define HANDMADE_FEATURES 0
#endif
#ifndef HANDMADE_ABI
#define HANDMADE_ABI PLANISH_ABI
#endif
/* With HANDMADE_STATIC=<name>_model the model is for static linking under that name. */
#ifdef HANDMADE_STATIC
extern const planish_model HANDMADE_STATIC;
#define HANDMADE_MODEL HANDMADE_STATIC
#else
#define HANDMADE_MODEL model
#endif

enum { kChannels = 3, kPixels = 20, kImage = kChannels * kPixels };

extern __attribute__((visibility("hidden"))) const planish_api planish_api_v1;

/* A task is an image. */
static void multiply(void *const *buffers, const int64_t *scalars, void *scratch, int64_t begin,
                     int64_t end) {
  const float *images = buffers[0], *gain = buffers[1];
  float *hidden = buffers[2];
  (void)scalars, (void)scratch;
  for (int64_t n = begin; n < end; ++n)
    for (int64_t c = 0; c < kChannels; ++c)
      for (int64_t p = 0; p < kPixels; ++p)
        hidden[n * kImage + p * kChannels + c] = images[n * kImage + c * kPixels + p] * *gain;
}

static void add(void *const *buffers, const int64_t *scalars, void *scratch, int64_t begin, int64_t end) {
  const float *hidden = buffers[0];
  float *scaled = buffers[1];
  (void)scratch;
  for (int64_t n = begin; n < end; ++n)
    for (int64_t c = 0; c < kChannels; ++c)
      for (int64_t p = 0; p < kPixels; ++p)
        scaled[n * kImage + c * kPixels + p] = hidden[n * kImage + p * kChannels + c] + (float)scalars[0];
}

static int32_t host(const planish_frame *frame) {
  const int64_t n = frame->input_dims[0], offset = *(const int64_t *)frame->inputs[2];
  void *first[] = {frame->inputs[0], frame->inputs[1], frame->arena};
  void *second[] = {frame->arena, frame->outputs[0]};
  if (offset == 13) return 1;
  planish_launch_v1(frame->instance, 0, multiply, first, NULL, n);
  planish_launch_v1(frame->instance, 1, add, second, &offset, n);
  *(int64_t *)frame->outputs[1] = n * kImage;
  frame->output_dims[0] = n;
  return 0;
}

#define CONSTANT(size) {(size), (size), -1, 0}
#define IMAGES {{1, 4, 0, 0}, CONSTANT(3), CONSTANT(4), CONSTANT(5)}

static const planish_tensor_info inputs[] = {{"images", PLANISH_F32, 4, IMAGES, 4 * 4 * kImage},
                                             {"gain", PLANISH_F32, 0, {{0, 0, 0, 0}}, 4},
                                             {"offset", PLANISH_I64, 0, {{0, 0, 0, 0}}, 8}};
static const planish_tensor_info outputs[] = {{"scaled", PLANISH_F32, 4, IMAGES, 4 * 4 * kImage},
                                              {"size", PLANISH_I64, 0, {{0, 0, 0, 0}}, 8}};
static const planish_symbol_info symbols[] = {{"n", 1, 4}};
static const planish_launch_info launches[] = {{"multiply", "pointwise", "Mul_0", kImage, 8 * kImage},
                                               {"add", "pointwise", "Add_1", kImage, 8 * kImage}};
static const planish_value_info values[] = {{"hidden",
                                             PLANISH_F32,
                                             4,
                                             IMAGES,
                                             {kImage, 1, 5 * kChannels, kChannels},
                                             PLANISH_REGION_ARENA,
                                             0,
                                             0,
                                             0,
                                             0}};
static const char *const failures[] = {"offset 13 is not allowed"};

const planish_model HANDMADE_MODEL = {
    .abi = HANDMADE_ABI,
    .architecture = HANDMADE_FEATURES ? PLANISH_ARCH_X86_64 : PLANISH_ARCH_ANY,
    .features = HANDMADE_FEATURES,
    .name = "handmade",
    .target = "cpu:any",
    .build_id = "0123456789abcdef",
    .api = &planish_api_v1,
    .host = host,
    .arena_bytes = 4 * 4 * kImage,
    .inputs = inputs,
    .outputs = outputs,
    .symbols = symbols,
    .launches = launches,
    .values = values,
    .failures = failures,
    .n_inputs = 3,
    .n_outputs = 2,
    .n_symbols = 1,
    .n_launches = 2,
    .n_values = 1,
    .n_failures = 1,
};

#ifndef HANDMADE_STATIC
__attribute__((visibility("default"))) const planish_model *planish_query(uint32_t abi) {
  return abi == HANDMADE_ABI ? &HANDMADE_MODEL : NULL;
}
#endif
