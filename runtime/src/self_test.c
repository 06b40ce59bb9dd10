#include "self_test.h"

#include "sha256.h"
#include "text.h"

/* MT19937: Matsumoto and Nishimura, "Mersenne Twister", ACM TOMACS 8(1), 1998; as std::mt19937. */
#define TWISTER_WORDS 624u
#define TWISTER_SHIFT 397u

typedef struct twister {
  uint32_t words[TWISTER_WORDS];
  uint32_t next;
} twister;

static void seed_twister(twister *t, uint32_t seed) {
  t->words[0] = seed;
  for (uint32_t i = 1; i < TWISTER_WORDS; ++i)
    t->words[i] = 1812433253u * (t->words[i - 1] ^ t->words[i - 1] >> 30) + i;
  t->next = TWISTER_WORDS;
}

static uint32_t twister_bits(twister *t) {
  uint32_t y;
  if (t->next == TWISTER_WORDS) {
    for (uint32_t i = 0; i < TWISTER_WORDS; ++i) {
      y = (t->words[i] & 0x80000000u) | (t->words[(i + 1) % TWISTER_WORDS] & 0x7fffffffu);
      t->words[i] = t->words[(i + TWISTER_SHIFT) % TWISTER_WORDS] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0u);
    }
    t->next = 0;
  }
  y = t->words[t->next++];
  y ^= y >> 11;
  y ^= y << 7 & 0x9d2c5680u;
  y ^= y << 15 & 0xefc60000u;
  return y ^ y >> 18;
}

PLANISH_ONE void planish_fill_v1(int32_t dtype, uint32_t seed, void *data, uint64_t bytes) {
  const uint32_t element = planish_dtype_bytes(dtype);
  const uint64_t count = element ? bytes / element : 0;
  twister random;
  seed_twister(&random, seed);
  for (uint64_t i = 0; i < count; ++i) {
    const uint32_t bits = twister_bits(&random) >> 8;
    switch (dtype) {
    case PLANISH_F32: ((float *)data)[i] = (float)bits * 0x1p-24f; break;
    case PLANISH_F64: ((double *)data)[i] = (double)bits * 0x1p-24; break;
    case PLANISH_BOOL: ((uint8_t *)data)[i] = bits & 1; break;
    default:
      switch (element) {
      case 1: ((uint8_t *)data)[i] = (uint8_t)bits; break;
      /* As a half or a brain float these are subnormal: harmless, and the same everywhere. */
      case 2: ((uint16_t *)data)[i] = bits % 8; break;
      case 4: ((uint32_t *)data)[i] = bits % 8; break;
      default: ((uint64_t *)data)[i] = bits % 8; break;
      }
    }
  }
}

/* A free dimension is 1 where that is allowed. */
static int64_t dimension_of(const planish_dim *dim) {
  return dim->lower > 1 ? dim->lower : dim->upper < 1 ? dim->upper : 1;
}

/* The shape an input has in the test, and its bytes. */
static uint64_t shape_of(const planish_tensor_info *info, int64_t dims[PLANISH_MAX_RANK]) {
  uint64_t bytes = planish_dtype_bytes(info->dtype);
  for (int32_t d = 0; d < info->rank; ++d) {
    dims[d] = dimension_of(&info->dims[d]);
    bytes *= (uint64_t)dims[d];
  }
  return bytes;
}

static uint64_t all_input_bytes(const planish_model *model) {
  uint64_t bytes = PLANISH_ALIGNMENT; /* never none */
  int64_t dims[PLANISH_MAX_RANK];
  for (uint32_t i = 0; i < model->n_inputs; ++i) bytes += planish_aligned(shape_of(&model->inputs[i], dims));
  return bytes;
}

PLANISH_ONE uint64_t planish_self_test_bytes_v1(const planish_model *model, int32_t threads) {
  return model->api->memory_bytes(model, threads) + all_input_bytes(model);
}

static planish_status set_inputs(const planish_model *model, planish_instance *instance, unsigned char *data,
                                 char *error) {
  for (uint32_t i = 0; i < model->n_inputs; ++i) {
    const planish_tensor_info *info = &model->inputs[i];
    int64_t dims[PLANISH_MAX_RANK];
    const uint64_t bytes = shape_of(info, dims);
    planish_status status;
    planish_fill_v1(info->dtype, i + 1, data, bytes);
    status = model->api->set_input(instance, i, data, dims, (uint32_t)info->rank, error);
    if (status) return status;
    data += planish_aligned(bytes);
  }
  return PLANISH_OK;
}

static planish_status compare_outputs(const planish_model *model, const planish_instance *instance,
                                      char *error) {
  for (uint32_t i = 0; i < model->n_outputs; ++i) {
    planish_tensor out;
    const planish_status status = model->api->get_output(instance, i, &out, error);
    if (status) return status;
    if (planish_sha256_v1(out.data, out.bytes) == model->golden[i]) continue;
    planish_text_v1(error, "model '%s': output '%s' has other bits here than the model's definition gives",
                    model->name, model->outputs[i].name);
    return PLANISH_SELF_TEST_FAILED;
  }
  return PLANISH_OK;
}

/* Memory for the inputs: the last of the caller's, or the system's. */
static planish_status place_inputs(const planish_model *model, planish_options *options,
                                   unsigned char **inputs, char *error) {
  const uint64_t needed = all_input_bytes(model);
  if (!options->memory) {
    *inputs = planish_os_allocate_v1(needed);
    if (*inputs) return PLANISH_OK;
    planish_text_v1(error, "no memory for the self-test of model '%s': its inputs need %d bytes", model->name,
                    (int64_t)needed);
    return PLANISH_OUT_OF_MEMORY;
  }
  if (options->memory_bytes < needed) {
    planish_text_v1(error, "options.memory has %d bytes, the self-test of model '%s' needs %d",
                    (int64_t)options->memory_bytes, model->name,
                    (int64_t)planish_self_test_bytes_v1(model, options->threads));
    return PLANISH_INVALID_ARGUMENT;
  }
  options->memory_bytes = (options->memory_bytes - needed) / PLANISH_ALIGNMENT * PLANISH_ALIGNMENT;
  *inputs = (unsigned char *)options->memory + options->memory_bytes;
  return PLANISH_OK;
}

static planish_status test_instance(const planish_model *model, const planish_options *options,
                                    unsigned char *inputs, char *error) {
  planish_instance *instance = NULL;
  planish_status status = model->api->create(model, options, &instance, error);
  if (status) return status;
  status = set_inputs(model, instance, inputs, error);
  if (!status) status = model->api->run(instance, error);
  if (!status) status = compare_outputs(model, instance, error);
  model->api->destroy(instance);
  return status;
}

PLANISH_ONE planish_status planish_self_test_run_v1(const planish_model *model,
                                                    const planish_options *options, char *error) {
  static const planish_options defaults;
  planish_options own = options ? *options : defaults;
  unsigned char *inputs;
  planish_status status;
  if (!model->golden) {
    planish_text_v1(error, "model '%s' carries no golden digests: compile-model --golden writes them",
                    model->name);
    return PLANISH_INVALID_ARGUMENT;
  }
  status = place_inputs(model, &own, &inputs, error);
  if (status) return status;
  status = test_instance(model, &own, inputs, error);
  if (!own.memory) planish_os_free_v1(inputs);
  return status;
}
