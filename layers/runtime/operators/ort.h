/* The part of ONNX Runtime's C interface that the operators use (onnxruntime_c_api.h, version 17).

   ONNX Runtime provides its functions in one table, which grows only at its end, so each function keeps its place. A gap stands for
   functions that are not called here. The assertions below check the place of each function in its table. */

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
    Status *(*GetDimensionsCount)(const Shape *shape, size_t *dimensions);
    Status *(*GetDimensions)(const Shape *shape, int64_t *sizes, size_t dimensions);
    void *gap4[2];
    Status *(*GetTensorTypeAndShape)(const Value *tensor, Shape **shape);
    void *gap5[19];
    Status *(*KernelInfoGetAttribute_float)(const KernelInfo *info, const char *name, float *value);
    Status *(*KernelInfoGetAttribute_int64)(const KernelInfo *info, const char *name, int64_t *value);
    void *gap6[3];
    Status *(*KernelContext_GetInput)(const Context *context, size_t index, const Value **tensor);
    Status *(*KernelContext_GetOutput)(Context *context, size_t index, const int64_t *sizes, size_t dimensions, Value **tensor);
    void *gap7;
    void (*ReleaseStatus)(Status *status);
    void *gap8[5];
    void (*ReleaseTensorTypeAndShapeInfo)(Shape *shape);
    void *gap9;
    void (*ReleaseCustomOpDomain)(Domain *domain);
    void *gap10[28];
    Status *(*AddSessionConfigEntry)(Options *options, const char *key, const char *value);
    void *gap11[106];
    Status *(*HasSessionConfigEntry)(const Options *options, const char *key, int *is_set);
    Status *(*GetSessionConfigEntry)(const Options *options, const char *key, char *value, size_t *size);
    void *gap12[35];
    Status *(*KernelContext_ParallelFor)(const Context *context, void (*run)(void *work, size_t index), size_t total,
                                         size_t batches, void *work);
} Api;

#define AT(table, place, function) \
    _Static_assert(offsetof(table, function) == (place) * sizeof(void *), #function " is not in its place")
AT(Api, 0, CreateStatus);
AT(Api, 26, CreateCustomOpDomain);
AT(Api, 27, CustomOpDomain_Add);
AT(Api, 28, AddCustomOpDomain);
AT(Api, 51, GetTensorMutableData);
AT(Api, 61, GetDimensionsCount);
AT(Api, 62, GetDimensions);
AT(Api, 65, GetTensorTypeAndShape);
AT(Api, 85, KernelInfoGetAttribute_float);
AT(Api, 86, KernelInfoGetAttribute_int64);
AT(Api, 90, KernelContext_GetInput);
AT(Api, 91, KernelContext_GetOutput);
AT(Api, 93, ReleaseStatus);
AT(Api, 99, ReleaseTensorTypeAndShapeInfo);
AT(Api, 101, ReleaseCustomOpDomain);
AT(Api, 130, AddSessionConfigEntry);
AT(Api, 237, HasSessionConfigEntry);
AT(Api, 238, GetSessionConfigEntry);
AT(Api, 274, KernelContext_ParallelFor);
_Static_assert(sizeof(Api) == 275 * sizeof(void *), "the table of functions has another length");

typedef struct {
    const Api *(*GetApi)(uint32_t version);
    const char *(*GetVersionString)(void);
} ApiBase;

AT(ApiBase, 0, GetApi);
AT(ApiBase, 1, GetVersionString);

/* One operator, described to ONNX Runtime (OrtCustomOp). */
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

AT(Operator, 0, version);
AT(Operator, 2, GetName);
AT(Operator, 3, GetExecutionProviderType);
AT(Operator, 4, GetInputType);
AT(Operator, 5, GetInputTypeCount);
AT(Operator, 6, GetOutputType);
AT(Operator, 7, GetOutputTypeCount);
AT(Operator, 9, KernelDestroy);
AT(Operator, 10, GetInputCharacteristic);
AT(Operator, 11, GetOutputCharacteristic);
AT(Operator, 12, GetInputMemoryType);
AT(Operator, 17, CreateKernelV2);
AT(Operator, 18, KernelComputeV2);
_Static_assert(sizeof(Operator) == 26 * sizeof(void *), "an operator has another length");
#undef AT

#endif
