/* The part of ONNX Runtime's C interface that the operators call (its onnxruntime_c_api.h, version 17).

   ONNX Runtime hands out its functions in one table, which only ever grows at its end: each function keeps its place. A gap stands
   for functions that are not called here, and the assertions below hold each function to its place. */

#ifndef ORT_H
#define ORT_H

#include <stddef.h>
#include <stdint.h>

#define API_VERSION 17      /* the first with KernelContext_ParallelFor */
#define OPERATOR_VERSION 16 /* the first with CreateKernelV2 and KernelComputeV2 */

typedef struct Status Status; /* null on success */
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
    void *gap1[25];
    Status *(*CreateCustomOpDomain)(const char *name, Domain **domain);
    Status *(*CustomOpDomain_Add)(Domain *domain, const Operator *operator);
    Status *(*AddCustomOpDomain)(Options *options, Domain *domain);
    void *gap2[22];
    Status *(*GetTensorMutableData)(const Value *tensor, void **data);
    void *gap3[9];
    Status *(*GetDimensionsCount)(const Shape *shape, size_t *count);
    Status *(*GetDimensions)(const Shape *shape, int64_t *sizes, size_t count);
    void *gap4[2];
    Status *(*GetTensorTypeAndShape)(const Value *tensor, Shape **shape);
    void *gap5[19];
    Status *(*KernelInfoGetAttribute_float)(const KernelInfo *info, const char *name, float *value);
    Status *(*KernelInfoGetAttribute_int64)(const KernelInfo *info, const char *name, int64_t *value);
    void *gap6[3];
    Status *(*KernelContext_GetInput)(const Context *context, size_t index, const Value **tensor);
    Status *(*KernelContext_GetOutput)(Context *context, size_t index, const int64_t *sizes, size_t count, Value **tensor);
    void *gap7[7];
    void (*ReleaseTensorTypeAndShapeInfo)(Shape *shape);
    void *gap8;
    void (*ReleaseCustomOpDomain)(Domain *domain);
    void *gap9[28];
    Status *(*AddSessionConfigEntry)(Options *options, const char *key, const char *value);
    void *gap10[106];
    Status *(*HasSessionConfigEntry)(const Options *options, const char *key, int *found);
    Status *(*GetSessionConfigEntry)(const Options *options, const char *key, char *value, size_t *size);
    void *gap11[35];
    Status *(*KernelContext_ParallelFor)(const Context *context, void (*run)(void *work, size_t index), size_t total,
                                         size_t batches, void *work);
} Api;

#define AT(function, place) _Static_assert(offsetof(Api, function) == (place) * sizeof(void *), #function " is not in its place")
AT(CreateCustomOpDomain, 26);
AT(CustomOpDomain_Add, 27);
AT(AddCustomOpDomain, 28);
AT(GetTensorMutableData, 51);
AT(GetDimensionsCount, 61);
AT(GetDimensions, 62);
AT(GetTensorTypeAndShape, 65);
AT(KernelInfoGetAttribute_float, 85);
AT(KernelInfoGetAttribute_int64, 86);
AT(KernelContext_GetInput, 90);
AT(KernelContext_GetOutput, 91);
AT(ReleaseTensorTypeAndShapeInfo, 99);
AT(ReleaseCustomOpDomain, 101);
AT(AddSessionConfigEntry, 130);
AT(HasSessionConfigEntry, 237);
AT(GetSessionConfigEntry, 238);
AT(KernelContext_ParallelFor, 274);
#undef AT

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
