/* The golden self-test (planish_self_test): a run on seeded inputs whose outputs' digests the model knows. */
#ifndef PLANISH_RUNTIME_SELF_TEST_H
#define PLANISH_RUNTIME_SELF_TEST_H

#include "os.h"
#include "planish/runtime.h"

/* Values that are valid for most models, by a Mersenne Twister of this seed: floats in [0, 1), bytes of all
 * values, small non-negative integers. `data` is aligned to its element. */
PLANISH_SHARED void planish_fill_v1(int32_t dtype, uint32_t seed, void *data, uint64_t bytes);

PLANISH_SHARED uint64_t planish_self_test_bytes_v1(const planish_model *model, int32_t threads);
PLANISH_SHARED planish_status planish_self_test_run_v1(const planish_model *model,
                                                       const planish_options *options, char *error);

#endif
