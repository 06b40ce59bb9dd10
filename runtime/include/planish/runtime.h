/* Running compiled models from C11 or C++: this header is all there is to include, nothing is there to link
 * but the model itself.
 *
 *   const planish_model *model;   planish_open("out/libnet.so", &model);      (or `extern const planish_model
 * net_model`) planish_instance *net;        planish_create(model, NULL, &net); planish_set_input(net, 0,
 * pixels, NULL, 0);                               (no copy) planish_run(net); planish_tensor out;
 * planish_get_output(net, 0, &out); planish_destroy(net);         planish_close(model);
 *
 * Every call returns a status; planish_error() tells what was wrong with the calling thread's last failed
 * call. Different instances may be used by different threads at the same time; one instance by one thread at
 * a time. Instances of one model share its weights. No call but planish_open and planish_create allocates
 * memory. */
#ifndef PLANISH_RUNTIME_H
#define PLANISH_RUNTIME_H

#include "planish/abi.h"

/* Needs dlopen; define it as 0 for devices where models are linked statically. */
#ifndef PLANISH_HAS_DLOPEN
#define PLANISH_HAS_DLOPEN __STDC_HOSTED__
#endif
#if PLANISH_HAS_DLOPEN
#include <dlfcn.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum planish_status {
  PLANISH_OK = 0,
  PLANISH_INVALID_ARGUMENT = 1, /* null pointer, no such index, misaligned or too small memory */
  PLANISH_SHAPE_MISMATCH = 2,   /* rank or dimension the model does not take */
  PLANISH_MISSING_INPUT = 3,    /* an input was never set */
  PLANISH_OUT_OF_MEMORY = 4,    /* memory or threads refused by the system */
  PLANISH_UNSUPPORTED_CPU = 5,  /* this CPU or system lacks an instruction set the model needs */
  PLANISH_CANNOT_LOAD = 6,      /* no such library, or not one of ours */
  PLANISH_WRONG_VERSION = 7,    /* library and header differ in PLANISH_ABI */
  PLANISH_BUSY = 8,             /* the instance is running in another thread */
  PLANISH_RUN_FAILED = 9,       /* the model itself refused its data, e.g. a size beyond its bound */
  PLANISH_NO_DEVICE = 10,       /* the device that the model was compiled for is not there */
  PLANISH_SELF_TEST_FAILED = 11 /* the model gives other bytes here than its definition */
} planish_status;

#define PLANISH_MAX_THREADS 256
#define PLANISH_ERROR_BYTES 256

/* Called by the running thread after each launch. Times are monotonic, in nanoseconds. It must not call back
 * into the instance but for planish_get_value. */
typedef void (*planish_profile_fn)(void *user, const planish_instance *instance, uint32_t launch,
                                   int64_t begin_ns, int64_t end_ns);

/* One part of a kernel's work; the parts of one call are independent of each other. */
typedef void (*planish_part_fn)(void *work, uint32_t index);

/* A caller's own threads: runs part(work, index) for every index in [0, parts), each once, on any threads, in
 * any order, and returns when all of them have returned. */
typedef void (*planish_parallel_fn)(void *user, uint32_t parts, planish_part_fn part, void *work);

/* All zero is a good default. */
typedef struct planish_options {
  int32_t threads; /* 1 runs everything in the calling thread, 0 uses all cores the process may use */
  int32_t reserved;
  void *memory; /* the caller's memory for all the instance needs, or NULL to allocate it; it must stay
                   until planish_destroy and be aligned to PLANISH_ALIGNMENT */
  uint64_t memory_bytes; /* at least planish_memory_bytes(model, threads) */
  planish_profile_fn profile;
  void *profile_user;
  planish_parallel_fn parallel; /* runs the parts of a kernel, `threads` of them at most; NULL: the runtime's
                                   own threads do. It works where there is no operating system, too */
  void *parallel_user;
} planish_options;

/* A dense tensor in ONNX layout. */
typedef struct planish_tensor {
  void *data;
  uint64_t bytes;
  int32_t dtype; /* planish_dtype */
  int32_t rank;
  int64_t dims[PLANISH_MAX_RANK];
} planish_tensor;

/* A value inside the model: dimensions in ONNX order, strides in elements. */
typedef struct planish_view {
  const void *data;
  const char *name;
  int32_t dtype; /* planish_dtype */
  int32_t rank;
  int64_t dims[PLANISH_MAX_RANK];
  int64_t strides[PLANISH_MAX_RANK];
} planish_view;

/* What a model is; the texts belong to the model. */
typedef struct planish_info {
  const char *name;
  const char *target;
  const char *build_id;
  uint32_t n_inputs;
  uint32_t n_outputs;
  const planish_tensor_info *inputs;
  const planish_tensor_info *outputs;
  uint64_t memory_bytes; /* of one instance with one thread */
  uint64_t weights_bytes;
} planish_info;

/* The runtime's functions, reached through the model; call the functions below instead. `error` has
 * PLANISH_ERROR_BYTES. */
struct planish_api {
  uint32_t abi;
  uint32_t reserved;
  uint64_t (*memory_bytes)(const planish_model *model, int32_t threads);
  planish_status (*create)(const planish_model *model, const planish_options *options,
                           planish_instance **instance, char *error);
  void (*destroy)(planish_instance *instance);
  planish_status (*set_input)(planish_instance *instance, uint32_t index, const void *data,
                              const int64_t *dims, uint32_t rank, char *error);
  planish_status (*set_output)(planish_instance *instance, uint32_t index, void *data, uint64_t bytes,
                               char *error);
  planish_status (*run)(planish_instance *instance, char *error);
  planish_status (*get_output)(const planish_instance *instance, uint32_t index, planish_tensor *tensor,
                               char *error);
  planish_status (*get_value)(const planish_instance *instance, uint32_t index, planish_view *view,
                              char *error);
  uint32_t (*threads)(const planish_instance *instance);
  void **library; /* where planish_open keeps its handle */
  void (*fill)(int32_t dtype, uint32_t seed, void *data, uint64_t bytes);
  uint64_t (*self_test_bytes)(const planish_model *model, int32_t threads);
  planish_status (*self_test)(const planish_model *model, const planish_options *options, char *error);
};

/* Only the first field is public. */
typedef struct planish_instance_head {
  const planish_api *api;
  void *device; /* of the hooks of planish_model.device */
} planish_instance_head;

/* From here on: what users call. The runtime's own sources stop above. */
#ifndef PLANISH_RUNTIME_BUILD

/* Threads need an operating system. */
#if __STDC_HOSTED__
#define PLANISH_THREAD_LOCAL __thread
#else
#define PLANISH_THREAD_LOCAL
#endif

/* One per thread and program or library that includes this header. */
__attribute__((weak,
               visibility("hidden"))) PLANISH_THREAD_LOCAL char planish_error_text_v1[PLANISH_ERROR_BYTES];

/* The text of the calling thread's last failed call: one line, in English, naming the culprit. */
static inline const char *planish_error(void) { return planish_error_text_v1; }

/* Sets the text and returns the status; for the functions of this header. */
static inline planish_status planish_fail(planish_status status, const char *text) {
  size_t i = 0;
  for (; text && text[i] && i + 1 < PLANISH_ERROR_BYTES; ++i) planish_error_text_v1[i] = text[i];
  planish_error_text_v1[i] = 0;
  return status;
}

static inline const planish_api *planish_api_of(const planish_instance *instance) {
  return ((const planish_instance_head *)(const void *)instance)->api;
}

#if PLANISH_HAS_DLOPEN
/* Loads a compiled model's shared library. The model stays valid until planish_close. A path without a slash
 * is searched for where the system keeps libraries. */
static inline planish_status planish_open(const char *path, const planish_model **model) {
  void *library, *symbol;
  planish_query_fn query;
  if (!path || !model)
    return planish_fail(PLANISH_INVALID_ARGUMENT, "planish_open: path and model must not be null");
  *model = NULL;
  library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) return planish_fail(PLANISH_CANNOT_LOAD, dlerror());
  symbol = dlsym(library, PLANISH_QUERY_SYMBOL);
  if (!symbol) {
    dlclose(library);
    return planish_fail(PLANISH_CANNOT_LOAD,
                        "planish_open: not a compiled model: it has no symbol planish_query");
  }
  __builtin_memcpy(&query, &symbol, sizeof(query)); /* ISO C has no cast from object to function pointer */
  *model = query(PLANISH_ABI);
  if (!*model) {
    dlclose(library);
    return planish_fail(PLANISH_WRONG_VERSION,
                        "planish_open: the model was compiled for another version of the runtime interface");
  }
  __atomic_store_n((*model)->api->library, library, __ATOMIC_RELAXED);
  return PLANISH_OK;
}

/* Undoes one planish_open. All instances of the model must have been destroyed. */
static inline planish_status planish_close(const planish_model *model) {
  void *library;
  if (!model) return planish_fail(PLANISH_INVALID_ARGUMENT, "planish_close: model must not be null");
  library = __atomic_load_n(model->api->library, __ATOMIC_RELAXED);
  if (library) dlclose(library);
  return PLANISH_OK;
}
#endif

/* Bytes one instance takes: state, arena, outputs, and what each thread needs for itself. `threads` as in
 * planish_options. */
static inline uint64_t planish_memory_bytes(const planish_model *model, int32_t threads) {
  return model ? model->api->memory_bytes(model, threads) : 0;
}

static inline planish_status planish_model_info(const planish_model *model, planish_info *info) {
  if (!model || !info)
    return planish_fail(PLANISH_INVALID_ARGUMENT, "planish_model_info: model and info must not be null");
  info->name = model->name;
  info->target = model->target;
  info->build_id = model->build_id;
  info->n_inputs = model->n_inputs;
  info->n_outputs = model->n_outputs;
  info->inputs = model->inputs;
  info->outputs = model->outputs;
  info->memory_bytes = model->api->memory_bytes(model, 1);
  info->weights_bytes = model->weights_bytes;
  return PLANISH_OK;
}

/* Makes an instance; `options` may be NULL for one thread per core and memory from the system. Refuses a CPU
 * that lacks what the model's code needs. */
static inline planish_status planish_create(const planish_model *model, const planish_options *options,
                                            planish_instance **instance) {
  if (!model || !instance)
    return planish_fail(PLANISH_INVALID_ARGUMENT, "planish_create: model and instance must not be null");
  *instance = NULL;
  if (model->abi != PLANISH_ABI || model->api->abi != PLANISH_ABI)
    return planish_fail(
        PLANISH_WRONG_VERSION,
        "planish_create: the model was compiled for another version of the runtime interface");
  return model->api->create(model, options, instance, planish_error_text_v1);
}

/* Bytes that planish_self_test works in; `threads` as in planish_options. */
static inline uint64_t planish_self_test_bytes(const planish_model *model, int32_t threads) {
  return model ? model->api->self_test_bytes(model, threads) : 0;
}

/* Proves that this device computes what the model's definition gives, bit for bit: runs an instance of its
 * own on seeded inputs and compares the outputs' digests with those that compile-model --golden put into the
 * model. `options` are those of planish_create; options.memory, if given, has planish_self_test_bytes and is
 * free afterwards. Returns PLANISH_SELF_TEST_FAILED where a digest differs, PLANISH_INVALID_ARGUMENT where
 * the model carries none. */
static inline planish_status planish_self_test(const planish_model *model, const planish_options *options) {
  if (!model) return planish_fail(PLANISH_INVALID_ARGUMENT, "planish_self_test: model must not be null");
  if (model->abi != PLANISH_ABI || model->api->abi != PLANISH_ABI)
    return planish_fail(
        PLANISH_WRONG_VERSION,
        "planish_self_test: the model was compiled for another version of the runtime interface");
  return model->api->self_test(model, options, planish_error_text_v1);
}

/* Frees the instance; NULL is allowed. The last instance with threads ends them. */
static inline void planish_destroy(planish_instance *instance) {
  if (instance) planish_api_of(instance)->destroy(instance);
}

/* Uses `data` as input `index` in this and all later runs, without copying: it must stay until they are over,
 * hold a dense tensor in ONNX layout and be aligned to its element. `dims` has `rank` entries; NULL stands
 * for the model's own shape where that is constant. */
static inline planish_status planish_set_input(planish_instance *instance, uint32_t index, const void *data,
                                               const int64_t *dims, uint32_t rank) {
  if (!instance)
    return planish_fail(PLANISH_INVALID_ARGUMENT, "planish_set_input: instance must not be null");
  return planish_api_of(instance)->set_input(instance, index, data, dims, rank, planish_error_text_v1);
}

/* Writes output `index` to the caller's memory from now on; it must hold the output's max_bytes and not
 * overlap an input. NULL goes back to the instance's own memory. */
static inline planish_status planish_set_output(planish_instance *instance, uint32_t index, void *data,
                                                uint64_t bytes) {
  if (!instance)
    return planish_fail(PLANISH_INVALID_ARGUMENT, "planish_set_output: instance must not be null");
  return planish_api_of(instance)->set_output(instance, index, data, bytes, planish_error_text_v1);
}

/* Computes all outputs from the inputs. */
static inline planish_status planish_run(planish_instance *instance) {
  if (!instance) return planish_fail(PLANISH_INVALID_ARGUMENT, "planish_run: instance must not be null");
  return planish_api_of(instance)->run(instance, planish_error_text_v1);
}

/* Output `index` of the last run: where it is and its actual dimensions. Before the first run the dimensions
 * are the upper bounds. The data stays until the next run or planish_destroy. */
static inline planish_status planish_get_output(const planish_instance *instance, uint32_t index,
                                                planish_tensor *tensor) {
  if (!instance)
    return planish_fail(PLANISH_INVALID_ARGUMENT, "planish_get_output: instance must not be null");
  return planish_api_of(instance)->get_output(instance, index, tensor, planish_error_text_v1);
}

/* Value `index` of planish_model.values. It holds data only in the profile callback of its launch. */
static inline planish_status planish_get_value(const planish_instance *instance, uint32_t index,
                                               planish_view *view) {
  if (!instance)
    return planish_fail(PLANISH_INVALID_ARGUMENT, "planish_get_value: instance must not be null");
  return planish_api_of(instance)->get_value(instance, index, view, planish_error_text_v1);
}

/* How many threads the instance uses, the caller's included. */
static inline uint32_t planish_threads(const planish_instance *instance) {
  return instance ? planish_api_of(instance)->threads(instance) : 0;
}

#endif /* PLANISH_RUNTIME_BUILD */

#ifdef __cplusplus
}
#endif

#endif
