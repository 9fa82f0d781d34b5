/* The kernels for one instruction set, under the name that build.py gives: NAME. */

#include "kernels.h"

#include "attention.h"
#include "linear.h"
#include "mean.h"
#include "norm.h"

const struct kernels NAME = {linear, attention, add_norm, mean};
