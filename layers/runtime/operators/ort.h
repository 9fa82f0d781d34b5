/* What an operator needs of ONNX Runtime's C interface (its onnxruntime_c_api.h, version 16). Tables of functions there only ever
   grow at their ends, so that places stay as they are; `void *between[n]` passes over n functions that are not called here. */

#ifndef ORT_H
#define ORT_H

#include <stddef.h>
#include <stdint.h>

#define ORT_VERSION 16

typedef struct Status Status; /* null where all went well */
typedef struct Options Options;
typedef struct Domain Domain;
typedef struct Value Value;
typedef struct Shape Shape;
typedef struct KernelInfo KernelInfo;
typedef struct Context Context;
typedef struct Operator Operator;

typedef enum { FLOAT = 1, UINT8 = 2 } Type;
typedef enum { REQUIRED, OPTIONAL } Presence;
enum { INVALID_ARGUMENT = 2 };
enum { MEMORY_DEFAULT = 0 };

typedef struct {
    Status *(*CreateStatus)(int code, const char *message);
    void *between1[25];
    Status *(*CreateCustomOpDomain)(const char *name, Domain **made);
    Status *(*CustomOpDomain_Add)(Domain *domain, const Operator *operator);
    Status *(*AddCustomOpDomain)(Options *options, Domain *domain);
    void *between2[22];
    Status *(*GetTensorMutableData)(const Value *tensor, void **data);
    void *between3[9];
    Status *(*GetDimensionsCount)(const Shape *shape, size_t *count);
    Status *(*GetDimensions)(const Shape *shape, int64_t *sizes, size_t count);
    void *between4[2];
    Status *(*GetTensorTypeAndShape)(const Value *tensor, Shape **shape);
    void *between5[19];
    Status *(*KernelInfoGetAttribute_float)(const KernelInfo *info, const char *name, float *value);
    Status *(*KernelInfoGetAttribute_int64)(const KernelInfo *info, const char *name, int64_t *value);
    void *between6[3];
    Status *(*KernelContext_GetInput)(const Context *context, size_t index, const Value **tensor);
    Status *(*KernelContext_GetOutput)(Context *context, size_t index, const int64_t *sizes, size_t count, Value **tensor);
    void *between7[7];
    void (*ReleaseTensorTypeAndShapeInfo)(Shape *shape);
} Api;

typedef struct {
    const Api *(*GetApi)(uint32_t version);
    const char *(*GetVersionString)(void);
} ApiBase;

struct Operator {
    uint32_t version;
    void *unused1;
    const char *(*GetName)(const Operator *);
    const char *(*GetExecutionProviderType)(const Operator *);
    Type (*GetInputType)(const Operator *, size_t index);
    size_t (*GetInputTypeCount)(const Operator *);
    Type (*GetOutputType)(const Operator *, size_t index);
    size_t (*GetOutputTypeCount)(const Operator *);
    void *unused2;
    void (*KernelDestroy)(void *kernel);
    Presence (*GetInputCharacteristic)(const Operator *, size_t index);
    Presence (*GetOutputCharacteristic)(const Operator *, size_t index);
    int (*GetInputMemoryType)(const Operator *, size_t index);
    void *unused3[4];
    Status *(*CreateKernelV2)(const Operator *, const Api *api, const KernelInfo *info, void **kernel);
    Status *(*KernelComputeV2)(void *kernel, Context *context);
    void *unused4[7];
};

#endif
