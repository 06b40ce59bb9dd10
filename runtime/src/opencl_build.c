/* A model's program for a device. What the device's compiler made is kept in files, since compiling takes
 * seconds: PLANISH_CACHE_DIR, else XDG_CACHE_HOME/planish, else HOME/.cache/planish. Whatever is wrong with
 * the cache only costs time. */
#include "opencl.h"
#include "text.h"

extern char *getenv(const char *name);
extern int mkdir(const char *path, unsigned mode);
extern int open(const char *path, int flags, ...);
extern int close(int file);
extern long read(int file, void *bytes, size_t count);
extern long write(int file, const void *bytes, size_t count);
extern int rename(const char *from, const char *to);
extern int unlink(const char *path);

enum { READ_ONLY = 0, NEW_FILE = 01 | 0100 | 01000, MODE_FILE = 0644, MODE_FOLDER = 0755 };

#define BINARY_MOST ((uint64_t)1 << 30)

typedef struct header {
  char magic[8];
  uint64_t key;
  uint64_t bytes;
} header;

static const char kMagic[8] = {'P', 'L', 'C', 'L', '0', '0', '0', '1'};

/* FNV-1a, 64 bits. */
static uint64_t hashed(uint64_t hash, const char *text, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) hash = (hash ^ (unsigned char)text[i]) * 0x100000001B3u;
  return hash;
}

static uint64_t hash_of_text(uint64_t hash, const char *text) {
  return hashed(hash, text, __builtin_strlen(text) + 1);
}

static uint64_t hash_of_info(uint64_t hash, const planish_opencl_shared *of, uint32_t what) {
  char text[PLANISH_ERROR_BYTES] = "";
  of->cl.GetDeviceInfo(of->device, what, sizeof(text) - 1, text, NULL);
  return hash_of_text(hash, text);
}

/* Whatever decides what the binary must be. */
static uint64_t key_of(const planish_opencl_shared *of, const planish_device_program *program,
                       const char *options) {
  uint64_t hash = hashed(0xCBF29CE484222325u, program->source, program->source_bytes);
  hash = hash_of_text(hash, options);
  hash = hash_of_text(hash, of->name);
  hash = hash_of_info(hash, of, CL_DEVICE_VERSION_);
  return hash_of_info(hash, of, CL_DRIVER_VERSION_);
}

/* The file of a key, in `path` of PLANISH_ERROR_BYTES; 0 where there is no place for it. */
static int place_of(uint64_t key, char *path) {
  static const struct {
    const char *variable, *below, *parent;
  } folders[] = {{"PLANISH_CACHE_DIR", "", ""},
                 {"XDG_CACHE_HOME", "/planish", ""},
                 {"HOME", "/.cache/planish", "/.cache"}};
  char hex[17] = "";
  for (size_t i = 0; i < 16; ++i) hex[i] = "0123456789abcdef"[key >> (60 - 4 * i) & 15];
  for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); ++i) {
    const char *base = getenv(folders[i].variable);
    if (!base || !*base) continue;
    if (__builtin_strlen(base) + 64 > PLANISH_ERROR_BYTES) return 0;
    planish_text_v1(path, "%s%s", base, folders[i].parent);
    mkdir(path, MODE_FOLDER);
    planish_text_v1(path, "%s%s", base, folders[i].below);
    mkdir(path, MODE_FOLDER);
    planish_text_v1(path, "%s%s/opencl-%s.bin", base, folders[i].below, hex);
    return 1;
  }
  return 0;
}

static int read_all(int file, void *to, uint64_t bytes) {
  for (uint64_t done = 0; done < bytes;) {
    const long n = read(file, (unsigned char *)to + done, (size_t)(bytes - done));
    if (n <= 0) return 0;
    done += (uint64_t)n;
  }
  return 1;
}

static int write_all(int file, const void *from, uint64_t bytes) {
  for (uint64_t done = 0; done < bytes;) {
    const long n = write(file, (const unsigned char *)from + done, (size_t)(bytes - done));
    if (n <= 0) return 0;
    done += (uint64_t)n;
  }
  return 1;
}

static int build(planish_opencl_shared *of, const char *options) {
  return of->cl.BuildProgram(of->program, 1, &of->device, options, NULL, NULL) == CL_OK;
}

static void drop(planish_opencl_shared *of) {
  if (of->program) of->cl.ReleaseProgram(of->program);
  of->program = NULL;
}

/* The program of the cache; 0 where there is none that the device takes. */
static int from_cache(planish_opencl_shared *of, uint64_t key, const char *options) {
  char path[PLANISH_ERROR_BYTES];
  header head;
  unsigned char *bytes = NULL;
  int file, good = 0;
  if (!place_of(key, path)) return 0;
  file = open(path, READ_ONLY);
  if (file < 0) return 0;
  if (read_all(file, &head, sizeof(head)) && __builtin_memcmp(head.magic, kMagic, sizeof(kMagic)) == 0 &&
      head.key == key && head.bytes > 0 && head.bytes < BINARY_MOST)
    bytes = planish_os_allocate_v1(head.bytes);
  if (bytes && read_all(file, bytes, head.bytes)) {
    const size_t size = (size_t)head.bytes;
    const unsigned char *binary = bytes;
    int32_t problem = 0, state = 0;
    of->program =
        of->cl.CreateProgramWithBinary(of->context, 1, &of->device, &size, &binary, &state, &problem);
    good = of->program && !problem && !state && build(of, options);
    if (!good) drop(of);
  }
  if (bytes) planish_os_free_v1(bytes);
  close(file);
  return good;
}

/* Other processes see the whole file or none. */
static void to_cache(const planish_opencl_shared *of, uint64_t key) {
  char path[PLANISH_ERROR_BYTES], unfinished[PLANISH_ERROR_BYTES];
  size_t size = 0;
  unsigned char *bytes;
  header head;
  int file, good = 0;
  if (of->cl.GetProgramInfo(of->program, CL_PROGRAM_BINARY_SIZES_, sizeof(size), &size, NULL) != CL_OK ||
      !size || size >= BINARY_MOST || !place_of(key, path))
    return;
  bytes = planish_os_allocate_v1(size);
  if (!bytes) return;
  planish_text_v1(unfinished, "%s.%d", path, (int64_t)planish_os_process_v1());
  file = open(unfinished, NEW_FILE, MODE_FILE);
  if (file >= 0 &&
      of->cl.GetProgramInfo(of->program, CL_PROGRAM_BINARIES_, sizeof(bytes), &bytes, NULL) == CL_OK) {
    __builtin_memcpy(head.magic, kMagic, sizeof(kMagic));
    head.key = key;
    head.bytes = size;
    good = write_all(file, &head, sizeof(head)) && write_all(file, bytes, size);
  }
  if (file >= 0) {
    close(file);
    if (!good || rename(unfinished, path) != 0) unlink(unfinished);
  }
  planish_os_free_v1(bytes);
}

/* The line of the compiler's log that says what is wrong. */
static void explain(const planish_opencl_shared *of, const planish_model *model, char *error) {
  size_t size = 0;
  char *log = NULL;
  const char *line = "without a word";
  of->cl.GetProgramBuildInfo(of->program, of->device, CL_PROGRAM_BUILD_LOG_, 0, NULL, &size);
  if (size > 1) log = planish_os_allocate_v1(size + 1);
  if (log &&
      of->cl.GetProgramBuildInfo(of->program, of->device, CL_PROGRAM_BUILD_LOG_, size, log, NULL) == CL_OK) {
    log[size] = 0;
    line = planish_complaint_v1(log);
  }
  planish_text_v1(error, "OpenCL device '%s' refuses the program of model '%s': %s", of->name, model->name,
                  line);
  if (log) planish_os_free_v1(log);
}

PLANISH_ONE planish_status planish_opencl_build_v1(planish_opencl_shared *of, const planish_model *model,
                                                   char *error) {
  const planish_device_program *program = model->device;
  char options[PLANISH_ERROR_BYTES];
  const char *source = program->source;
  const size_t size = (size_t)program->source_bytes;
  cl_flags floats = 0;
  int32_t problem = 0;
  uint64_t key;
  of->cl.GetDeviceInfo(of->device, CL_DEVICE_SINGLE_FP_CONFIG_, sizeof(floats), &floats, NULL);
  planish_text_v1(options, "-cl-std=CL1.2 -cl-denorms-are-zero%s",
                  floats & CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT_ ? " -cl-fp32-correctly-rounded-divide-sqrt"
                                                                : "");
  key = key_of(of, program, options);
  if (from_cache(of, key, options)) return PLANISH_OK;
  of->program = of->cl.CreateProgramWithSource(of->context, 1, &source, &size, &problem);
  if (!of->program || problem) {
    planish_text_v1(error, "OpenCL device '%s' takes no program (error %d)", of->name, (int64_t)problem);
    return PLANISH_NO_DEVICE;
  }
  if (!build(of, options)) {
    explain(of, model, error);
    return PLANISH_NO_DEVICE;
  }
  to_cache(of, key);
  return PLANISH_OK;
}
