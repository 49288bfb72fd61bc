/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void
w4_err_init(struct w4_err *err, w4moe_log_fn *log, void *log_user)
{
    memset(err, 0, sizeof(*err));
    err->log = log;
    err->log_user = log_user;
    pthread_mutex_init(&err->lock, NULL);
}

void
w4_err_fini(struct w4_err *err)
{
    pthread_mutex_destroy(&err->lock);
}

/* Also U+0080 to U+009F, which terminals may take for commands. */
static int
is_control(const char *text, size_t left)
{
    unsigned char c = (unsigned char)text[0];
    if (c < 0x20 || c == 0x7F) {
        return 1;
    }
    return c == 0xC2 && left > 1 && (unsigned char)text[1] < 0xA0;
}

/* Texts hold names and values from files, and are one line. */
static void
replace_controls(char *text)
{
    size_t size = strlen(text);
    for (size_t i = 0; i < size; i++) {
        if (is_control(text + i, size - i)) {
            int is_long = (unsigned char)text[i] == 0xC2;
            text[i] = '?';
            if (is_long) {
                text[++i] = '?';
            }
        }
    }
}

/* This thread's slot; if it has none, a free one or the oldest. Locked. */
static struct w4_err_slot *
slot_take(struct w4_err *err)
{
    struct w4_err_slot *oldest = &err->slots[0];
    pid_t self = gettid();
    for (int i = 0; i < W4_ERR_THREADS; i++) {
        struct w4_err_slot *slot = &err->slots[i];
        if (slot->stamp != 0 && slot->thread == self) {
            return slot;
        }
        if (slot->stamp < oldest->stamp) {
            oldest = slot;
        }
    }
    return oldest;
}

static void
record(struct w4_err *err, const char *text)
{
    pthread_mutex_lock(&err->lock);
    struct w4_err_slot *slot = slot_take(err);
    slot->thread = gettid();
    slot->stamp = ++err->stamp;
    snprintf(slot->text, sizeof(slot->text), "%s", text);
    pthread_mutex_unlock(&err->lock);
}

w4moe_status
w4_fail(struct w4_err *err, w4moe_status status, const char *format, ...)
{
    if (err == NULL) {
        return status;
    }
    char text[W4_ERR_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    replace_controls(text);
    record(err, text);
    if (err->log != NULL) {
        err->log(err->log_user, W4MOE_LOG_ERROR, text);
    }
    return status;
}

void
w4_log(struct w4_err *err, w4moe_log_level level, const char *format, ...)
{
    if (err == NULL || err->log == NULL) {
        return;
    }
    char text[W4_ERR_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    replace_controls(text);
    err->log(err->log_user, level, text);
}

const char *
w4_err_text(struct w4_err *err)
{
    const char *text = "";
    pid_t self = gettid();
    pthread_mutex_lock(&err->lock);
    for (int i = 0; i < W4_ERR_THREADS; i++) {
        struct w4_err_slot *slot = &err->slots[i];
        if (slot->stamp != 0 && slot->thread == self) {
            text = slot->text;
            break;
        }
    }
    pthread_mutex_unlock(&err->lock);
    return text;
}

w4moe_status
w4_first_note(struct w4_first *first, struct w4_err *err, w4moe_status status)
{
    if (status == W4MOE_OK) {
        return status;
    }
    const char *text = w4_err_text(err);
    pthread_mutex_lock(&err->lock);
    if (first->status == W4MOE_OK) {
        first->status = status;
        snprintf(first->text, sizeof(first->text), "%s", text);
    }
    pthread_mutex_unlock(&err->lock);
    return status;
}

int
w4_first_any(struct w4_first *first, struct w4_err *err)
{
    pthread_mutex_lock(&err->lock);
    int any = first->status != W4MOE_OK;
    pthread_mutex_unlock(&err->lock);
    return any;
}

w4moe_status
w4_first_raise(const struct w4_first *first, struct w4_err *err)
{
    if (first->status != W4MOE_OK) {
        record(err, first->text);
    }
    return first->status;
}
