/* The attributes of a node. They are read once, when ONNX Runtime creates the node's kernel. */

#ifndef ATTRIBUTES_H
#define ATTRIBUTES_H

#include <float.h>
#include <stdio.h>

#include "ort.h"

#define MAX_ATTRIBUTES 5

enum attribute_kind { WHOLE, REAL };

/* An attribute of an operator. A whole number must be from `least` to `most`. A real number must be finite and not negative. */
struct attribute {
    const char *name;
    enum attribute_kind kind;
    int is_required;
    int64_t least, most;
    int64_t otherwise; /* the whole number of a node without this attribute; the real number of such a node is 0 */
};

struct value {
    int64_t whole;
    float real;
};

static Status *refuse_attribute(const Api *api, const char *operator, const char *name, const char *why) {
    char sentence[160];
    snprintf(sentence, sizeof sentence, "%s: %s %s", operator, name, why);
    return api->CreateStatus(INVALID_ARGUMENT, sentence);
}

static Status *get_attribute(const Api *api, const KernelInfo *info, const char *name, enum attribute_kind kind,
                             struct value *value) {
    return kind == WHOLE ? api->KernelInfoGetAttribute_int64(info, name, &value->whole)
                         : api->KernelInfoGetAttribute_float(info, name, &value->real);
}

/* Read an attribute. If the node does not have it, that is an error, or the value stays as it is. */
static Status *read_attribute(const Api *api, const KernelInfo *info, const char *operator, const struct attribute *attribute,
                              struct value *value) {
    Status *missing = get_attribute(api, info, attribute->name, attribute->kind, value);
    if (missing && attribute->is_required) return missing;
    if (missing) {
        struct value other;
        api->ReleaseStatus(missing);
        missing = get_attribute(api, info, attribute->name, attribute->kind == WHOLE ? REAL : WHOLE, &other);
        if (!missing)
            return refuse_attribute(api, operator, attribute->name,
                                    attribute->kind == WHOLE ? "is not a whole number" : "is not a float");
        api->ReleaseStatus(missing);
        *value = (struct value){.whole = attribute->otherwise};
    } else if (attribute->kind == REAL && !(value->real >= 0 && value->real <= FLT_MAX)) {
        return refuse_attribute(api, operator, attribute->name, "is negative or not a finite number");
    } else if (attribute->kind == WHOLE && (value->whole < attribute->least || value->whole > attribute->most)) {
        char why[80];
        snprintf(why, sizeof why, "is not from %lld to %lld", (long long)attribute->least, (long long)attribute->most);
        return refuse_attribute(api, operator, attribute->name, why);
    }
    return NULL;
}

#endif
