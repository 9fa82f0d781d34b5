/* The kernels for one instruction set. build.py defines NAME, the name of the set. */

#include "kernels.h"

#include "attention.h"
#include "gate.h"
#include "linear.h"
#include "mean.h"
#include "norm.h"
#include "product.h"
#include "rotate.h"

const struct kernels NAME = {linear, attention, rotate, add_norm, norm, gate, product, mean};
