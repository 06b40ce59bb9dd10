/* Between a model that is compiled for an FPGA and the board it runs on.
 *
 * The host's part of such a model is an ordinary library; its layers of 8-bit codes run on an engine whose
 * source stands beside it. What is special about a board (how the engine's registers and memory are reached)
 * is in one shared library, the board's driver: the environment variable PLANISH_FPGA_DRIVER names it, else
 * it is libplanish_fpga.so. It exports `planish_fpga_driver`, a constant of the structure below. C11 and C++.
 */
#ifndef PLANISH_FPGA_H
#define PLANISH_FPGA_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PLANISH_FPGA_VERSION 1u
#define PLANISH_FPGA_DRIVER_SYMBOL "planish_fpga_driver"
#define PLANISH_FPGA_ERROR_BYTES 128 /* of a driver's message, its end included */

/* What an engine reads beside activations; constants of the model. All of it is little endian. */
typedef struct planish_fpga_engine {
  uint32_t version;             /* PLANISH_FPGA_VERSION */
  uint32_t columns;             /* of a row of the table, as the engine's source names them */
  const char *model;            /* its name */
  const char *board;            /* the target: "fpga-amd:kv260" */
  const int32_t *table;         /* [rows][columns] */
  uint64_t rows;
  const unsigned char *weights; /* port `weights` */
  uint64_t weights_bytes;
  const unsigned char *scales;  /* port `scales` */
  uint64_t scales_bytes;
} planish_fpga_engine;

/* A board's driver. Calls that return a number return 0 or fail; then they write a message. */
typedef struct planish_fpga_board {
  uint32_t version; /* PLANISH_FPGA_VERSION */
  uint32_t reserved;
  /* Once for every instance of a model. `activations` are its memory, aligned to 64 bytes, of `bytes` and 64
   * readable ones behind; where the engine cannot reach such memory, the driver copies in run(). */
  int (*open)(const planish_fpga_engine *engine, unsigned char *activations, uint64_t bytes, void **state,
              char error[PLANISH_FPGA_ERROR_BYTES]);
  /* Runs rows [first, first + count), whole layers, and returns when their results are in `activations`,
   * where the host reads them. Rows read and write activations at the bytes their columns say. */
  int (*run)(void *state, uint32_t first, uint32_t count, char error[PLANISH_FPGA_ERROR_BYTES]);
  void (*close)(void *state);
} planish_fpga_board;

#ifdef __cplusplus
}
#endif

#endif
