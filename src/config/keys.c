#include "config/keys.h"

#include "base/text.h"

#include <inttypes.h>
#include <string.h>

static const char *const pump_names[] = {"auto", "splice", "copy", "stream"};

const char *pump_name(enum pump pump)
{
    return pump_names[pump];
}

static int wrong(const char *value, const struct key *key, struct err *err)
{
    return err_set(err, 0, "'%s' is not %s", value, key->takes);
}

static int set_number(void *field, const char *value, const struct key *key, struct err *err)
{
    uint64_t number;

    if (text_number(value, key->max, &number) != 0 || number < key->min)
        return wrong(value, key, err);
    *(uint32_t *)field = (uint32_t)number;
    return 0;
}

/* "off" is 0: no limit. */
static int set_limit(void *field, const char *value, const struct key *key, struct err *err)
{
    if (strcmp(value, "off") == 0) {
        *(uint32_t *)field = 0;
        return 0;
    }
    return set_number(field, value, key, err);
}

static int set_workers(void *field, const char *value, const struct key *key, struct err *err)
{
    if (strcmp(value, "auto") == 0) {
        *(uint32_t *)field = 0;
        return 0;
    }
    return set_number(field, value, key, err);
}

static int in_range(uint64_t value, const struct key *key)
{
    return value == 0 ? key->min == 0 : value >= key->min && value <= key->max;
}

static int set_duration(void *field, const char *value, const struct key *key, struct err *err)
{
    if (text_duration(value, field) != 0 || !in_range(*(uint64_t *)field, key))
        return wrong(value, key, err);
    return 0;
}

static int set_size(void *field, const char *value, const struct key *key, struct err *err)
{
    uint64_t size;

    if (text_size(value, &size) != 0 || (size != 0 && (size < 1024 || size > key->max)))
        return wrong(value, key, err);
    *(uint64_t *)field = size;
    return 0;
}

/* "10MiB/s" */
static int set_rate(void *field, const char *value, const struct key *key, struct err *err)
{
    size_t length = strlen(value);
    char size[32];

    if (strcmp(value, "off") == 0) {
        *(uint64_t *)field = 0;
        return 0;
    }
    if (length < 3 || strcmp(value + length - 2, "/s") != 0 ||
        text_copy(size, sizeof size, value, length - 2) != 0)
        return wrong(value, key, err);
    return set_size(field, size, key, err) == 0 ? 0 : wrong(value, key, err);
}

static int set_on_limit(void *field, const char *value, const struct key *key, struct err *err)
{
    if (strcmp(value, "wait") != 0 && strcmp(value, "refuse") != 0)
        return wrong(value, key, err);
    *(bool *)field = strcmp(value, "refuse") == 0;
    return 0;
}

static int set_allow(void *field, const char *value, const struct key *key, struct err *err)
{
    (void)key;
    return access_add(field, true, value, err);
}

static int set_deny(void *field, const char *value, const struct key *key, struct err *err)
{
    (void)key;
    return access_add(field, false, value, err);
}

static int set_listen(void *field, const char *value, const struct key *key, struct err *err)
{
    (void)key;
    return endpoint_parse(value, ENDPOINT_LISTEN, field, err);
}

/* The field is the flag; the endpoint stands beside it. */
static int set_control(void *field, const char *value, const struct key *key, struct err *err)
{
    struct config *config = (struct config *)(void *)((char *)field - key->offset);
    const struct endpoint *control = &config->control;

    config->has_control = false;
    if (strcmp(value, "off") == 0)
        return 0;
    if (endpoint_parse(value, ENDPOINT_LISTEN, &config->control, err) != 0)
        return -1;
    if (control->family != FAMILY_UNIX && control->family != FAMILY_NPIPE)
        return wrong(value, key, err);
    if (control->family == FAMILY_UNIX && control->u.local.abstract)
        return err_set(err, 0, "'%s' is open to every user: give it a path", value);
    config->has_control = true;
    return 0;
}

static int set_connect(void *field, const char *value, const struct key *key, struct err *err)
{
    (void)key;
    return endpoint_parse(value, ENDPOINT_CONNECT, field, err);
}

static int set_pump(void *field, const char *value, const struct key *key, struct err *err)
{
    for (size_t i = 0; i < sizeof pump_names / sizeof *pump_names; i++) {
        if (strcmp(value, pump_names[i]) == 0) {
            *(enum pump *)field = (enum pump)i;
            return pump_check((enum pump)i, err);
        }
    }
    return wrong(value, key, err);
}

static int set_log_level(void *field, const char *value, const struct key *key, struct err *err)
{
    return log_level_parse(value, field) == 0 ? 0 : wrong(value, key, err);
}

static int set_log_format(void *field, const char *value, const struct key *key, struct err *err)
{
    return log_format_parse(value, field) == 0 ? 0 : wrong(value, key, err);
}

static int set_path(void *field, const char *value, const struct key *key, struct err *err)
{
    if (text_copy(field, CONFIG_PATH, value, strlen(value)) != 0)
        return wrong(value, key, err);
    return 0;
}

/* Octal, as chmod takes it. */
static int set_mode(void *field, const char *value, const struct key *key, struct err *err)
{
    uint32_t mode = 0;
    size_t length = strlen(value);

    if (length < 3 || length > 4)
        return wrong(value, key, err);
    for (const char *c = value; *c; c++) {
        if (*c < '0' || *c > '7')
            return wrong(value, key, err);
        mode = mode * 8 + (uint32_t)(*c - '0');
    }
    if (mode == 0 || mode > 0777)
        return wrong(value, key, err);
    *(uint32_t *)field = mode;
    return 0;
}

static int set_hyperv_option(void *field, const char *value, const struct key *key, struct err *err)
{
    bool yes = strcmp(value, "yes") == 0;

    if (!yes && strcmp(value, "no") != 0)
        return wrong(value, key, err);
    *(bool *)field = yes;
    return yes ? sock_options_check_hyperv(err) : 0;
}

static int set_owner(void *field, const char *value, const struct key *key, struct err *err)
{
    const size_t size = sizeof((struct sock_options *)0)->socket_owner;

    if (strcmp(value, ":") == 0 || text_copy(field, size, value, strlen(value)) != 0)
        return wrong(value, key, err);
    return 0;
}

#define PROGRAM(name, takes, set, field, min, max)                                                 \
    {                                                                                              \
        name, takes, set, offsetof(struct config, field), min, max, false                          \
    }
#define FORWARD(name, takes, set, field, min, max)                                                 \
    {                                                                                              \
        name, takes, set, offsetof(struct forward_config, field), min, max, false                  \
    }
#define RULE(name, set)                                                                            \
    {                                                                                              \
        name, "'all', a network, 'cid=', 'vm=', 'user=' or 'group='", set,                         \
            offsetof(struct forward_config, access), 0, 0, true                                    \
    }
#define YES_OR_NO "'yes' or 'no'"
#define A_TIME    "a time such as '250ms', '30s', '5m', '1h' or 'off'"
#define A_TIMEOUT "a time such as '250ms', '30s', '5m' or '1h' (not 'off')"
#define A_QUIET   "a time of at most 32767s such as '60s' or '5m', or 'off'"
#define A_RATE    "bytes a second such as '64KiB/s' or '10MiB/s', or 'off'"
#define A_LIMIT   "a number from 1 to 1000000, or 'off'"
#define A_SIZE    "a size from 1KiB to 1GiB such as '64KiB' or '1MiB', or 'off'"

const struct key program_keys[] = {
    PROGRAM("workers", "a number of threads from 1 to 256, or 'auto'", set_workers, workers, 1,
            256),
    PROGRAM("log_level", "'error', 'warning', 'info' or 'debug'", set_log_level, log_level, 0, 0),
    PROGRAM("log_format", "'text' or 'json'", set_log_format, log_format, 0, 0),
    PROGRAM("log_file", "a path of at most 191 bytes", set_path, log_file, 0, 0),
    PROGRAM("control", "a 'unix' or 'npipe' endpoint, or 'off'", set_control, has_control, 0, 0),
    PROGRAM("max_sessions", A_LIMIT, set_limit, max_sessions, 1, 1000000),
    PROGRAM("drain_timeout", A_TIME, set_duration, drain_timeout, 0, UINT64_MAX),
    {NULL, NULL, NULL, 0, 0, 0, false},
};

const struct key forward_keys[] = {
    FORWARD("listen", "an endpoint", set_listen, listen, 0, 0),
    FORWARD("connect", "an endpoint", set_connect, connect, 0, 0),
    FORWARD("connect_timeout", A_TIMEOUT, set_duration, connect_timeout, 1, UINT64_MAX),
    FORWARD("connect_retry", A_TIME, set_duration, connect_retry, 0, UINT64_MAX),
    FORWARD("idle_timeout", A_TIME, set_duration, idle_timeout, 0, UINT64_MAX),
    FORWARD("half_close_timeout", A_TIME, set_duration, half_close_timeout, 0, UINT64_MAX),
    FORWARD("session_timeout", A_TIME, set_duration, session_timeout, 0, UINT64_MAX),
    FORWARD("max_sessions", A_LIMIT, set_limit, max_sessions, 1, 1000000),
    FORWARD("max_pending", A_LIMIT, set_limit, max_pending, 1, 1000000),
    FORWARD("accept_rate", "clients a second, from 1 to 1000000, or 'off'", set_limit, accept_rate,
            1, 1000000),
    FORWARD("on_limit", "'wait' or 'refuse'", set_on_limit, refuse_at_limit, 0, 0),
    FORWARD("rate_limit", A_RATE, set_rate, rate_limit, 0, (uint64_t)1 << 40),
    FORWARD("session_rate_limit", A_RATE, set_rate, session_rate_limit, 0, (uint64_t)1 << 40),
    RULE("allow", set_allow),
    RULE("deny", set_deny),
    FORWARD("pump", "'auto', 'splice', 'copy' or 'stream'", set_pump, pump, 0, 0),
    FORWARD("send_buffer", A_SIZE, set_size, options.send_buffer, 0, (uint64_t)1 << 30),
    FORWARD("receive_buffer", A_SIZE, set_size, options.receive_buffer, 0, (uint64_t)1 << 30),
    /* As far as Linux counts its seconds. */
    FORWARD("keepalive", A_QUIET, set_duration, options.keepalive, 0, 32767000),
    FORWARD("user_timeout", A_TIME, set_duration, options.user_timeout, 0, 86400000),
    FORWARD("backlog", "a number from 1 to 65535", set_number, options.backlog, 1, 65535),
    FORWARD("socket_mode", "an octal mode such as '0600' or '0660'", set_mode, options.socket_mode,
            0, 0),
    FORWARD("socket_owner", "a 'user', 'user:group' or ':group'", set_owner, options.socket_owner,
            0, 0),
    FORWARD("connected_suspend", YES_OR_NO, set_hyperv_option, options.connected_suspend, 0, 0),
    FORWARD("container_passthru", YES_OR_NO, set_hyperv_option, options.container_passthru, 0, 0),
    FORWARD("high_vtl", YES_OR_NO, set_hyperv_option, options.high_vtl, 0, 0),
    {NULL, NULL, NULL, 0, 0, 0, false},
};

const struct key *key_find(const struct key *keys, const char *name)
{
    for (; keys->name; keys++) {
        if (strcmp(keys->name, name) == 0)
            return keys;
    }
    return NULL;
}

const char *key_nearest(const struct key *keys, const char *name)
{
    const char *names[32];
    size_t count = 0;

    for (; keys->name && count < sizeof names / sizeof *names; keys++)
        names[count++] = keys->name;
    return text_nearest(name, names, count);
}

int key_set(const struct key *key, void *structure, const char *value, struct err *err)
{
    return key->set((char *)structure + key->offset, value, key, err);
}
