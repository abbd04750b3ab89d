/* An error: a code for programs and a sentence for people.
 *
 * The caller owns the struct and passes it last. The function that detects a failure writes the
 * message, each caller on the way up may put its own context in front, and whoever owns the unit
 * that failed (session, forward, process) logs it once. Messages start in lower case, name their
 * subject in quotes and never end in a full stop.
 */
#ifndef HVRELAY_BASE_ERR_H
#define HVRELAY_BASE_ERR_H

#include "base/compiler.h"

struct err {
    int code; /* a libuv error number (UV_ECONNREFUSED, ...), or 0 where no system call failed */
    char msg[512]; /* cut, never overflowed */
};

/* Sets code and message. Returns -1, so that a failing function can `return err_set(...)`. */
int err_set(struct err *err, int code, const char *format, ...) PRINTF_LIKE(3, 4);

/* As err_set, with ": " and the system's text for `code` after the message. */
int err_system(struct err *err, int code, const char *format, ...) PRINTF_LIKE(3, 4);

/* Puts "context: " in front of the message. Returns -1. */
int err_prefix(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* Appends " (hint)": what to do about it. Returns -1. */
int err_hint(struct err *err, const char *hint);

#endif
