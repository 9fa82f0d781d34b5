/* The kernels for one instruction set. build.py defines NAME, the name of the set. */

#include "kernels.h"

#include "attention.h"
#include "linear.h"
#include "mean.h"
#include "norm.h"

const struct kernels NAME = {linear, attention, add_norm, mean};
