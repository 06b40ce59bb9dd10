/* A detector on a device without an operating system and without a C library: start.S calls main, what is
 * found in the picture goes to the serial port. docs/deploying.md shows how it is built. */
#include "detector.h"

#include <planish/runtime.h>

enum {
  kWidth = 320,
  kHeight = 240,
  kStride = 8,
  kColumns = kWidth / kStride,
  kRows = kHeight / kStride,
  kClasses = 8
};

static const char *const labels[kClasses] = {"nut",    "nut_defect",    "bolt",    "bolt_defect",
                                             "washer", "washer_defect", "bearing", "bearing_defect"};

extern const unsigned char picture[kHeight][kWidth][3]; /* start.S: red, green, blue */
extern unsigned char memory_begin[]; /* device.ld: all memory behind the program is free */
static const uint64_t memory_bytes = (uint64_t)64 << 20;

static volatile uint32_t *const serial_port = (volatile uint32_t *)0x09000000;
static float image[3][kHeight][kWidth];

/* What compilers write instead of a loop: the only two functions that a compiled model asks for. */
void *memcpy(void *restrict to, const void *restrict from, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) ((volatile unsigned char *)to)[i] = ((const unsigned char *)from)[i];
  return to;
}

void *memset(void *to, int value, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) ((volatile unsigned char *)to)[i] = (unsigned char)value;
  return to;
}

static void print(const char *text) {
  for (; *text; ++text) *serial_port = (unsigned char)*text;
}

static void print_number(int value) {
  char digits[12];
  int n = 0;
  if (value < 0) print("-"), value = -value;
  do digits[n++] = (char)('0' + value % 10);
  while ((value /= 10) > 0);
  while (n > 0) *serial_port = (unsigned char)digits[--n];
}

/* frame.json: (byte - 127.5) / 128, one plane per colour. */
static void prepare(void) {
  for (int y = 0; y < kHeight; ++y)
    for (int x = 0; x < kWidth; ++x)
      for (int c = 0; c < 3; ++c) image[c][y][x] = ((float)picture[y][x][c] - 127.5f) * 0.0078125f;
}

typedef struct found {
  int label;
  float score;
} found;

/* A row of the output: centre, size, whether there is something, and what. */
static found best_of(const float *row) {
  found best = {0, row[5]};
  for (int c = 1; c < kClasses; ++c)
    if (row[5 + c] > best.score) best = (found){c, row[5 + c]};
  best.score *= row[4];
  return best;
}

/* A cell speaks for a part if no neighbour is more certain of the same. */
static int is_peak(const float (*rows)[5 + kClasses], int x, int y, found here) {
  for (int v = y - 2; v <= y + 2; ++v)
    for (int u = x - 2; u <= x + 2; ++u) {
      if (u < 0 || v < 0 || u >= kColumns || v >= kRows || (u == x && v == y)) continue;
      const found other = best_of(rows[v * kColumns + u]);
      if (other.label == here.label && other.score > here.score) return 0;
    }
  return 1;
}

static void report(const float (*rows)[5 + kClasses]) {
  for (int y = 0; y < kRows; ++y)
    for (int x = 0; x < kColumns; ++x) {
      const float *row = rows[y * kColumns + x];
      const found here = best_of(row);
      if (here.score < 0.3f || !is_peak(rows, x, y, here)) continue;
      print(labels[here.label]);
      print(" at ");
      print_number((int)(((float)x + row[0]) * kStride));
      print(",");
      print_number((int)(((float)y + row[1]) * kStride));
      print(" ");
      print_number((int)(here.score * 100));
      print("%\n");
    }
}

static planish_status detect(planish_instance **net, planish_tensor *out) {
  planish_options options = {0};
  planish_status status;
  options.threads = 1;
  options.memory = memory_begin;
  options.memory_bytes = memory_bytes;
  status = planish_create(&detector_model, &options, net);
  if (!status) status = planish_set_input(*net, 0, image, NULL, 0);
  if (!status) status = planish_run(*net);
  if (!status) status = planish_get_output(*net, 0, out);
  return status;
}

int main(void) {
  planish_instance *net;
  planish_tensor out;
  prepare();
  if (detect(&net, &out)) {
    print(planish_error());
    print("\n");
    return 1;
  }
  report(out.data);
  print("done\n");
  return 0;
}
