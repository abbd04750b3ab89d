/* The configuration: an INI text becomes a structure that does not change any more.
 *
 * Reading is pure but for the file itself: nothing is opened or looked up. All mistakes of a text
 * are found in one go, each with its line. */
#ifndef HVRELAY_CONFIG_CONFIG_H
#define HVRELAY_CONFIG_CONFIG_H

#include "base/log.h"
#include "config/access.h"
#include "net/endpoint.h"
#include "net/sock_options.h"
#include "relay/relay.h"

#include <stdio.h>

enum { FORWARD_NAME = 64, CONFIG_PATH = 192 };

#define HALF_CLOSE_UNSET UINT64_MAX /* the default of half_close_timeout: see session.c */

/* One [forward NAME]. Times are in ms; 0 is "off". */
struct forward_config {
    char name[FORWARD_NAME];
    struct endpoint listen, connect;
    struct sock_options options;
    uint64_t connect_timeout, connect_retry, idle_timeout, half_close_timeout, session_timeout;
    uint32_t max_sessions, max_pending, accept_rate; /* 0: no limit */
    uint64_t rate_limit, session_rate_limit;         /* bytes a second each way; 0: no limit */
    bool refuse_at_limit;                            /* else clients wait */
    enum pump pump;
    struct access access;
};

struct config {
    enum log_level log_level;
    enum log_format log_format;
    char log_file[CONFIG_PATH]; /* "": standard error */
    bool has_control;
    struct endpoint control; /* where `hvrelay reload` asks */
    uint32_t workers;        /* 0: one per processor */
    uint32_t max_sessions;   /* of all forwards; 0: no limit */
    uint64_t drain_timeout;
    struct forward_config *forwards; /* in the order of the text */
    size_t count;
};

/* Where the mistakes go: one line each, "FILE:LINE: ...", without control characters. */
typedef void config_complain(void *arg, const char *line);

/* Reads a configuration. `name` stands for the text in messages. Returns 0; or -1, everything
 * freed, after at least one complaint. */
int config_read(FILE *file, const char *name, struct config *out, config_complain *complain,
                void *arg);

/* As config_read, of a file by its path; "-" is standard input. */
int config_load(const char *path, struct config *out, config_complain *complain, void *arg);

/* Where the program that runs with this file is asked for something. Other mistakes in the file do
 * not matter. Returns 0, or -1 where the file can't be read or says nothing of it. */
int config_find_control(const char *path, struct endpoint *control, struct err *err);

/* A configuration without a file: one forward, and `count` settings "KEY=VALUE" for it or for the
 * program. Complaints name the argument. */
int config_from_arguments(const char *name, const char *listen, const char *connect,
                          char *const *settings, int count, struct config *out,
                          config_complain *complain, void *arg);

void config_free(struct config *config);

#endif
