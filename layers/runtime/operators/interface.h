/* The names and numbers that C and Python share. They are defined only here: __init__.py reads these lines too. */

#ifndef INTERFACE_H
#define INTERFACE_H

#define DOMAIN "encoder"                /* the operators' domain in a graph */
#define KERNELS_ENTRY "encoder.kernels" /* the entry of a session's configuration that names a set of kernels */
#define THREADS_ENTRY "encoder.threads" /* the entry with the number of threads that share an operator's work */
#define MAX_THREADS 64                  /* the largest number of threads */

/* The layout of weights (README.md) */
#define PANEL 16        /* the outputs of a panel, whose weights are stored next to each other */
#define GROUP 4         /* the inputs of a group: for each output of a panel, their weights are neighbouring bytes */
#define ZERO_WEIGHT 128 /* the byte that stands for a weight of 0 */

#endif
