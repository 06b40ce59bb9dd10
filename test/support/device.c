/* Runs a compiled model where there is nothing but a C library: device LIBRARY THREADS OUTPUTS
 * FILE:DIMxDIM...
 *
 * The files, one per input in the model's order, hold raw elements. Each output i goes raw to OUTPUTS/i, a
 * line `name dtype dims` to stdout; a library the CPU refuses exits 3. Built with DEVICE_MODEL=<name>_model
 * it has the model linked into it, whatever LIBRARY says. */
#include <planish/runtime.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef DEVICE_MODEL
extern const planish_model DEVICE_MODEL;
#endif

static void check(planish_status status) {
  if (!status) return;
  fprintf(stderr, "device: %s\n", planish_error());
  exit(status == PLANISH_UNSUPPORTED_CPU ? 3 : 1);
}

static void *contents(const char *path) {
  FILE *file = fopen(path, "rb");
  long bytes;
  void *data;
  if (!file || fseek(file, 0, SEEK_END) != 0 || (bytes = ftell(file)) < 0) {
    fprintf(stderr, "device: cannot read %s\n", path);
    exit(1);
  }
  rewind(file);
  data = malloc((size_t)bytes + 1);
  if (!data || fread(data, 1, (size_t)bytes, file) != (size_t)bytes) exit(1);
  fclose(file);
  return data;
}

/* Cuts ":2x3" off the argument. */
static uint32_t dimensions(char *argument, int64_t *dims) {
  char *at = strrchr(argument, ':');
  uint32_t rank = 0;
  *at++ = 0;
  while (*at && rank < PLANISH_MAX_RANK) {
    dims[rank++] = strtoll(at, &at, 10);
    if (*at) ++at;
  }
  return rank;
}

static void write_output(planish_instance *net, const planish_info *info, uint32_t i, const char *folder) {
  char path[4096];
  planish_tensor out;
  FILE *file;
  check(planish_get_output(net, i, &out));
  printf("%s %d ", info->outputs[i].name, out.dtype);
  for (int32_t d = 0; d < out.rank; ++d) printf(d ? "x%lld" : "%lld", (long long)out.dims[d]);
  printf("\n");
  snprintf(path, sizeof(path), "%s/%u", folder, (unsigned)i);
  file = fopen(path, "wb");
  if (!file || fwrite(out.data, 1, (size_t)out.bytes, file) != (size_t)out.bytes || fclose(file)) exit(1);
}

int main(int argc, char **argv) {
  const planish_model *model = NULL;
  planish_instance *net;
  planish_info info;
  planish_options options;
  if (argc < 4) return 2;
  memset(&options, 0, sizeof(options));
  options.threads = atoi(argv[2]);
#ifdef DEVICE_MODEL
  model = &DEVICE_MODEL;
#else
  check(planish_open(argv[1], &model));
#endif
  check(planish_model_info(model, &info));
  check(planish_create(model, &options, &net));
  for (uint32_t i = 0; i < info.n_inputs; ++i) {
    int64_t dims[PLANISH_MAX_RANK] = {0};
    char *argument = argv[4 + i];
    uint32_t rank = dimensions(argument, dims);
    check(planish_set_input(net, i, contents(argument), dims, rank));
  }
  check(planish_run(net));
  for (uint32_t i = 0; i < info.n_outputs; ++i) write_output(net, &info, i, argv[3]);
  planish_destroy(net);
  return 0;
}
