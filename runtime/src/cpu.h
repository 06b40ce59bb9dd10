/* What the CPU at hand can do. */
#ifndef PLANISH_RUNTIME_CPU_H
#define PLANISH_RUNTIME_CPU_H

#include "os.h"
#include "planish/abi.h"

/* The planish_architecture this runtime was built for. */
PLANISH_SHARED uint32_t planish_cpu_architecture_v1(void);

/* The features of this architecture's table that CPU and operating system both support. */
PLANISH_SHARED uint64_t planish_cpu_features_v1(void);

/* The name of a feature bit as LLVM writes it, "an unknown feature" for others. */
PLANISH_SHARED const char *planish_cpu_feature_name_v1(uint32_t bit);

#endif
