/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Reading containers: everything is checked against everything when a file is
 * opened, so that its matrices can be used without another look. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/abi.h"
#include "base/ctx.h"
#include "format/container.h"

struct file_layer {
    w4moe_matrix w13;
    w4moe_matrix w2;
    w4moe_router router;
};

struct w4moe_file {
    const w4moe_ctx *ctx;
    struct w4_st_set *set;
    struct w4_meta meta;
    size_t n_layers;
    /** Ascending. */
    uint32_t *numbers;
    struct file_layer *layers;
};

/* ---------------------------------------------------------------- matrices */

/* Whether a tensor has the type and shape of an entry. */
static int
matches(const struct w4_tensor *tensor, const struct w4_st_entry *entry)
{
    return tensor->dtype == entry->dtype && tensor->n_dims == entry->n_dims &&
           memcmp(tensor->shape, entry->shape,
                   entry->n_dims * sizeof(entry->shape[0])) == 0;
}

/* Sets one array of a matrix from its tensor, if there is one. */
static w4moe_status
take_array(const struct w4moe_file *file, w4moe_matrix *m,
        const struct w4_tensor *tensor, enum w4_array array)
{
    struct w4_err *err = w4_ctx_err(file->ctx);
    struct w4_st_entry entry = {0};
    w4_array_entry(&entry, m, array);
    if (!matches(tensor, &entry)) {
        return w4_fail(err, W4MOE_FORMAT,
                "tensor \"%.64s\" is %s of rank %" PRIu32
                ", expected %s of rank %" PRIu32 " [%" PRIu64 ", %" PRIu64
                ", ...] from the metadata",
                tensor->name, tensor->dtype_name, tensor->n_dims,
                w4moe_dtype_name(entry.dtype), entry.n_dims, entry.shape[0],
                entry.shape[1]);
    }
    if ((uintptr_t)tensor->data % 64 != 0) {
        return w4_fail(err, W4MOE_FORMAT,
                "tensor \"%.64s\" does not start at a multiple of 64 bytes",
                tensor->name);
    }
    /* The descriptor's arrays are not written through: see w4moe_matrix. */
    *w4_array_place(m, array) = (void *)(uintptr_t)tensor->data;
    return W4MOE_OK;
}

/* Types that the descriptor takes from the tensors themselves. */
static void
take_types(w4moe_matrix *m, const struct w4_tensor *const *tensors)
{
    const struct w4_tensor *perm = tensors[W4_ARRAY_PERM];
    m->scale_dtype = tensors[W4_ARRAY_SCALES]->dtype;
    if (m->code == W4MOE_CODE_E2M1 && m->scale_dtype == W4MOE_U8) {
        m->scale_dtype = W4MOE_F8_E8M0;
    }
    if (tensors[W4_ARRAY_OFFSETS] != NULL) {
        m->offset_dtype = tensors[W4_ARRAY_OFFSETS]->dtype;
    }
    if (tensors[W4_ARRAY_BIAS] != NULL) {
        m->bias_dtype = tensors[W4_ARRAY_BIAS]->dtype;
    }
    if (perm != NULL) {
        m->n_perms = perm->n_dims == 3 ? 2 : 1;
    }
}

static w4moe_status
read_matrix(const struct w4moe_file *file, w4moe_matrix *matrix,
        uint32_t number, w4moe_which which)
{
    struct w4_err *err = w4_ctx_err(file->ctx);
    const struct w4_tensor *tensors[W4_N_ARRAYS];
    w4moe_matrix m = w4_meta_matrix(&file->meta, which);
    for (int a = 0; a < W4_N_ARRAYS; a++) {
        char name[W4_TENSOR_NAME_MAX];
        w4_array_name(name, number, which, (enum w4_array)a);
        tensors[a] = w4_st_find(file->set, name);
        if (tensors[a] == NULL &&
                w4_array_required(&file->meta, (enum w4_array)a)) {
            return w4_fail(err, W4MOE_FORMAT, "%s: no tensor \"%s\"",
                    w4_st_file_path(file->set, 0), name);
        }
        if (tensors[a] != NULL &&
                !w4_array_allowed(&file->meta, (enum w4_array)a)) {
            return w4_fail(err, W4MOE_FORMAT,
                    "%s: tensor \"%s\", of which the metadata know nothing",
                    w4_st_file_path(file->set, 0), name);
        }
    }
    take_types(&m, tensors);
    char label[W4_TENSOR_NAME_MAX];
    snprintf(label, sizeof(label), "layer %" PRIu32 ", %s", number,
            which == W4MOE_W13 ? "w13" : "w2");
    w4moe_status status = w4_matrix_check(err, &m, label);
    for (int a = 0; a < W4_N_ARRAYS && status == W4MOE_OK; a++) {
        if (tensors[a] != NULL) {
            status = take_array(file, &m, tensors[a], (enum w4_array)a);
        }
    }
    if (status == W4MOE_OK) {
        status = w4_matrix_check_data(err, &m, label);
    }
    if (status == W4MOE_OK) {
        *matrix = m;
    }
    /* What is wrong is the file, not the caller's argument. */
    return status == W4MOE_INVALID ? W4MOE_FORMAT : status;
}

/* ------------------------------------------------------------------ routers */

/* Sets an array of a router from its tensor, if there is one: *array [E] or
 * [E][H]. */
static w4moe_status
take_router_array(const struct w4moe_file *file, const void **array,
        w4moe_dtype *dtype, uint32_t number, enum w4_router_part part)
{
    struct w4_err *err = w4_ctx_err(file->ctx);
    const struct w4_meta *meta = &file->meta;
    char name[W4_TENSOR_NAME_MAX];
    w4_router_name(name, number, part);
    const struct w4_tensor *tensor = w4_st_find(file->set, name);
    if (tensor == NULL) {
        return W4MOE_OK;
    }
    if (!w4_router_part_fits(
                part, tensor, meta->n_experts_total, meta->hidden_size)) {
        return w4_fail(err, W4MOE_FORMAT,
                "tensor \"%s\" is %s of rank %" PRIu32
                ", expected F32, F16 or BF16 for %zu experts%s",
                name, tensor->dtype_name, tensor->n_dims, meta->n_experts_total,
                part == W4_ROUTER_WEIGHT ? " times the hidden size" : "");
    }
    if ((uintptr_t)tensor->data % 64 != 0) {
        return w4_fail(err, W4MOE_FORMAT,
                "tensor \"%s\" does not start at a multiple of 64 bytes", name);
    }
    *array = tensor->data;
    *dtype = tensor->dtype;
    return W4MOE_OK;
}

/* A container may hold arrays although the kind of its router is not known, or
 * a bias without the weight that makes logits: they are of no use, and left
 * out. */
static w4moe_status
read_router(
        const struct w4moe_file *file, w4moe_router *router, uint32_t number)
{
    w4moe_router r = file->meta.router;
    if (number < file->meta.router_first_layer) {
        *router = (w4moe_router){.struct_size = sizeof(*router)};
        return W4MOE_OK;
    }
    w4moe_status status = take_router_array(
            file, &r.weight, &r.weight_dtype, number, W4_ROUTER_WEIGHT);
    if (status == W4MOE_OK) {
        status = take_router_array(
                file, &r.bias, &r.bias_dtype, number, W4_ROUTER_BIAS);
    }
    if (status == W4MOE_OK) {
        status = take_router_array(file, &r.correction_bias,
                &r.correction_bias_dtype, number, W4_ROUTER_CORRECTION_BIAS);
    }
    if (r.weight == NULL) {
        r.bias = NULL;
        r.bias_dtype = W4MOE_DTYPE_NONE;
    }
    if (status == W4MOE_OK) {
        *router = r.kind != W4MOE_ROUTER_NONE ? r : file->meta.router;
    }
    return status;
}

/* ------------------------------------------------------------------- layers */

/* The layer whose w13.qweight a tensor is. */
static int
layer_of_name(const char *name, uint32_t *number)
{
    char expected[W4_TENSOR_NAME_MAX];
    if (strncmp(name, "layers.", 7) != 0 || name[7] < '0' || name[7] > '9' ||
            strlen(name) >= sizeof(expected)) {
        return 0;
    }
    unsigned long value = strtoul(name + 7, NULL, 10);
    if (value > INT32_MAX) {
        return 0;
    }
    w4_array_name(expected, (uint32_t)value, W4MOE_W13, W4_ARRAY_QWEIGHT);
    *number = (uint32_t)value;
    return strcmp(name, expected) == 0;
}

static int
compare_numbers(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The metadata has a hash for every tensor of a layer, and for no other: so
 * that one that is missing or has another name is not overlooked, although
 * some are optional. */
static w4moe_status
check_hashes(const struct w4moe_file *file)
{
    static const char prefix[] = "xxh3.";
    struct w4_err *err = w4_ctx_err(file->ctx);
    const char *path = w4_st_file_path(file->set, 0);
    const char *key;
    for (size_t i = 0; (key = w4_st_metadata_key(file->set, i)) != NULL; i++) {
        if (strncmp(key, prefix, sizeof(prefix) - 1) == 0 &&
                w4_st_find(file->set, key + sizeof(prefix) - 1) == NULL) {
            return w4_fail(err, W4MOE_FORMAT,
                    "%s: no tensor \"%.64s\", of which the metadata has a hash",
                    path, key + sizeof(prefix) - 1);
        }
    }
    for (size_t t = 0; t < w4_st_count(file->set); t++) {
        char hash_key[W4_TENSOR_NAME_MAX + 8];
        const char *name = w4_st_at(file->set, t)->name;
        w4_hash_key(hash_key, name);
        if (strncmp(name, "layers.", 7) == 0 &&
                w4_st_metadata(file->set, hash_key) == NULL) {
            return w4_fail(err, W4MOE_FORMAT,
                    "%s: tensor \"%.64s\" has no hash in the metadata", path,
                    name);
        }
    }
    return W4MOE_OK;
}

static w4moe_status
read_layers(struct w4moe_file *file)
{
    struct w4_err *err = w4_ctx_err(file->ctx);
    size_t n_tensors = w4_st_count(file->set);
    uint32_t number;
    size_t n = 0;
    for (size_t t = 0; t < n_tensors; t++) {
        n += (size_t)layer_of_name(w4_st_at(file->set, t)->name, &number);
    }
    if (n == 0) {
        return w4_fail(err, W4MOE_FORMAT, "%s: no layers",
                w4_st_file_path(file->set, 0));
    }
    file->numbers = calloc(n, sizeof(*file->numbers));
    file->layers = calloc(n, sizeof(*file->layers));
    if (file->numbers == NULL || file->layers == NULL) {
        return w4_fail(err, W4MOE_NOMEM, "no memory for %zu layers", n);
    }
    for (size_t t = 0; t < n_tensors; t++) {
        if (layer_of_name(w4_st_at(file->set, t)->name, &number)) {
            file->numbers[file->n_layers++] = number;
        }
    }
    qsort(file->numbers, n, sizeof(*file->numbers), compare_numbers);
    w4moe_status status = W4MOE_OK;
    for (size_t i = 0; i < n && status == W4MOE_OK; i++) {
        struct file_layer *layer = &file->layers[i];
        status = read_matrix(file, &layer->w13, file->numbers[i], W4MOE_W13);
        if (status == W4MOE_OK) {
            status = read_matrix(file, &layer->w2, file->numbers[i], W4MOE_W2);
        }
        if (status == W4MOE_OK) {
            status = read_router(file, &layer->router, file->numbers[i]);
        }
    }
    return status;
}

/* ------------------------------------------------------------- public part */

w4moe_status
w4moe_file_open(const w4moe_ctx *ctx, w4moe_file **file_p, const char *path)
{
    struct w4_err *err = w4_ctx_err(ctx);
    if (ctx == NULL || file_p == NULL || path == NULL) {
        return w4_fail(err, W4MOE_INVALID, "file_open: file_p %s, path %s",
                file_p == NULL ? "NULL" : "given",
                path == NULL ? "NULL" : "given");
    }
    w4moe_file *file = calloc(1, sizeof(*file));
    if (file == NULL) {
        return w4_fail(err, W4MOE_NOMEM, "%s: no memory", path);
    }
    file->ctx = ctx;
    w4moe_status status = w4_st_open(err, &file->set, path);
    if (status == W4MOE_OK) {
        status = w4_meta_read(err, &file->meta, file->set);
    }
    if (status == W4MOE_OK) {
        status = w4_st_to_host(err, file->set);
    }
    if (status == W4MOE_OK) {
        status = check_hashes(file);
    }
    if (status == W4MOE_OK) {
        status = read_layers(file);
    }
    if (status != W4MOE_OK) {
        w4moe_file_close(file);
        return status;
    }
    *file_p = file;
    return W4MOE_OK;
}

void
w4moe_file_close(w4moe_file *file)
{
    if (file != NULL) {
        free(file->layers);
        free(file->numbers);
        w4_st_close(file->set);
        free(file);
    }
}

w4moe_status
w4moe_file_get_info(const w4moe_file *file, w4moe_file_info *info)
{
    if (file == NULL) {
        return W4MOE_INVALID;
    }
    const struct w4_meta *meta = &file->meta;
    w4moe_file_info result = {
            .struct_size = sizeof(result),
            .format_version = W4_FORMAT_VERSION,
            .order = meta->order,
            .n_layers = file->n_layers,
            .layers = file->numbers,
            .n_experts = meta->n_experts,
            .top_k = meta->top_k,
            .hidden_size = meta->hidden_size,
            .intermediate_size = meta->intermediate_size,
            .w13_group_size = meta->w13_group_size,
            .w2_group_size = meta->w2_group_size,
            .activation = meta->activation,
            .router = meta->router,
            .source_scheme = meta->source_scheme,
            .model_type = meta->model_type,
            .producer = meta->producer,
            .n_tensors = w4_st_count(file->set),
            .first_expert = meta->first_expert,
            .n_experts_total = meta->n_experts_total,
            .router_first_layer = meta->router_first_layer,
    };
    for (size_t t = 0; t < result.n_tensors; t++) {
        result.n_bytes += w4_st_at(file->set, t)->n_bytes;
    }
    return w4_struct_out(w4_ctx_err(file->ctx), info, &result, sizeof(result),
            sizeof(result), "w4moe_file_info");
}

/* The layer of that number in the model. */
static w4moe_status
find_layer(const struct w4moe_file *file, const struct file_layer **found,
        uint32_t layer)
{
    const uint32_t *number = bsearch(&layer, file->numbers, file->n_layers,
            sizeof(*file->numbers), compare_numbers);
    if (number == NULL) {
        return w4_fail(w4_ctx_err(file->ctx), W4MOE_INVALID,
                "%s: no layer %" PRIu32 " (%zu layers, %" PRIu32 " to %" PRIu32
                ")",
                w4_st_file_path(file->set, 0), layer, file->n_layers,
                file->numbers[0], file->numbers[file->n_layers - 1]);
    }
    *found = &file->layers[number - file->numbers];
    return W4MOE_OK;
}

w4moe_status
w4moe_file_get_router(
        const w4moe_file *file, w4moe_router *router, uint32_t layer)
{
    if (file == NULL) {
        return W4MOE_INVALID;
    }
    const struct file_layer *entry;
    w4moe_status status = find_layer(file, &entry, layer);
    return status == W4MOE_OK ? w4_struct_out(w4_ctx_err(file->ctx), router,
                                        &entry->router, sizeof(entry->router),
                                        sizeof(entry->router), "w4moe_router")
                              : status;
}

w4moe_status
w4moe_file_get_matrix(const w4moe_file *file, w4moe_matrix *matrix,
        uint32_t layer, w4moe_which which)
{
    if (file == NULL) {
        return W4MOE_INVALID;
    }
    struct w4_err *err = w4_ctx_err(file->ctx);
    const struct file_layer *entry;
    w4moe_status status = find_layer(file, &entry, layer);
    if (status != W4MOE_OK) {
        return status;
    }
    if (which != W4MOE_W13 && which != W4MOE_W2) {
        return w4_fail(err, W4MOE_INVALID, "%s: no matrix %d of layer %" PRIu32,
                w4_st_file_path(file->set, 0), (int)which, layer);
    }
    const w4moe_matrix *m = which == W4MOE_W13 ? &entry->w13 : &entry->w2;
    return w4_struct_out(
            err, matrix, m, sizeof(*m), sizeof(*m), "w4moe_matrix");
}

static w4moe_status
verify_tensor(const struct w4moe_file *file, const struct w4_tensor *tensor)
{
    struct w4_err *err = w4_ctx_err(file->ctx);
    char key[W4_TENSOR_NAME_MAX + 8];
    char text[W4_HASH_TEXT];
    if (strncmp(tensor->name, "pad.", 4) == 0) {
        return W4MOE_OK;
    }
    w4_hash_key(key, tensor->name);
    const char *stored = w4_st_metadata(file->set, key);
    w4moe_status status = w4_hash_text(err, text, tensor->data, tensor->n_bytes,
            w4moe_dtype_size(tensor->dtype));
    if (status == W4MOE_OK && (stored == NULL || strcmp(stored, text) != 0)) {
        status = w4_fail(err, W4MOE_MISMATCH,
                "%s: tensor \"%.64s\" has the hash %s, stored is %.64s",
                w4_st_file_path(file->set, tensor->file), tensor->name, text,
                stored != NULL ? stored : "none");
    }
    return status;
}

w4moe_status
w4moe_file_verify(const w4moe_file *file)
{
    if (file == NULL) {
        return W4MOE_INVALID;
    }
    struct w4_err *err = w4_ctx_err(file->ctx);
    struct w4_first first = {0};
    size_t n_tensors = w4_st_count(file->set);
#pragma omp parallel for schedule(dynamic) num_threads(file->ctx->n_threads)
    for (size_t t = 0; t < n_tensors; t++) {
        if (!w4_first_any(&first, err)) {
            w4_first_note(
                    &first, err, verify_tensor(file, w4_st_at(file->set, t)));
        }
    }
    return w4_first_raise(&first, err);
}
