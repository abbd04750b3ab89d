#include "suite.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CONFIG_MAX 4096

#define TEXT(number)        #number
#define SETTING(key, value) key " = " TEXT(value)

static const struct {
    const char *name;
    const char *options;
} forwards[FORWARDS] = {
    [PLAIN] = {"plain", ""},
    [BUFFERED] = {"buffered", "send_buffer = 256KiB\nreceive_buffer = 256KiB\n"},
    [LIMITED] = {"limited", SETTING("max_sessions", LIMIT) "\n"},
    [HALF_TIME] = {"half", SETTING("half_close_timeout", HALF_TIME_MS) "ms\n"},
    [IDLE_TIME] = {"idle", SETTING("idle_timeout", IDLE_TIME_MS) "ms\n"},
    [REFUSED] = {"refused", ""},
    [SILENT] = {"silent", SETTING("connect_timeout", CONNECT_TIME_MS) "ms\n" SETTING(
                              "max_sessions", SILENT_LIMIT) "\n"},
};

static void append(char config[CONFIG_MAX], const char *format, ...)
{
    va_list args;
    size_t len = strlen(config);
    va_start(args, format);
    int n = vsnprintf(config + len, CONFIG_MAX - len, format, args);
    va_end(args);
    assert_in_range(n, 1, CONFIG_MAX - len - 1);
}

static void add_globals(const struct suite *suite, char config[CONFIG_MAX], const char *more)
{
    append(config, "[hvrelay]\nworkers = %u\n%s\n", suite->workers, more);
    append(config, "[defaults]\npump = %s\n\n", suite->pump);
}

static void add_forward(const struct suite *suite, char config[CONFIG_MAX], const char *name,
                        const char *options, const struct listener *target)
{
    char listen[ENDPOINT_MAX];
    suite->front->fresh(listen);
    append(config, "[forward %s]\nlisten = %s\nconnect = %s\n%s\n", name, listen,
           listener_endpoint(target), options);
}

static const struct listener *target_of(const struct suite *suite, enum forward forward)
{
    if (forward == REFUSED)
        return suite->refusing;
    return forward == SILENT ? suite->silent : suite->target;
}

void suite_start(struct suite *suite)
{
    char config[CONFIG_MAX] = "";

    suite->target = listener_open(suite->back, LISTENER_ACCEPTING);
    suite->refusing = listener_open(suite->back, LISTENER_REFUSING);
    suite->silent = listener_open(suite->back, LISTENER_SILENT);
    add_globals(suite, config, "");
    for (enum forward i = 0; i < FORWARDS; i++) {
        add_forward(suite, config, forwards[i].name, forwards[i].options, target_of(suite, i));
    }
    suite->relay = relay_start(suite->program, config);
    for (enum forward i = 0; i < FORWARDS; i++)
        suite->endpoints[i] = relay_endpoint(suite->relay, forwards[i].name);

    /* What a first session makes for good (buffers, a pool) is not counted as growth. */
    struct session first = session_open(suite, PLAIN);
    session_echo(&first, 4 * MIB);
    suite->descriptors_at_start = descriptors_now(suite);
    suite->descriptors_at_start.sockets -= 2;
    session_close(&first);
    expect_settled(suite, suite->descriptors_at_start.sockets);
    suite->resident_at_start = resident_now(suite);
}

void suite_stop(struct suite *suite)
{
    peers_close_all();
    relay_free(suite->relay);
    listener_close(suite->target);
    listener_close(suite->refusing);
    listener_close(suite->silent);
    suite->relay = NULL;
    suite->target = suite->refusing = suite->silent = NULL;
}

struct relay *suite_extra_relay(struct suite *suite, const char *globals)
{
    char config[CONFIG_MAX] = "";
    add_globals(suite, config, globals);
    add_forward(suite, config, "plain", "", suite->target);
    suite->extra = relay_start(suite->program, config);
    return suite->extra;
}

uint64_t suite_scaled(const struct suite *suite, uint64_t n, uint64_t least)
{
    uint64_t scaled = (uint64_t)((double)n * suite->scale);
    return scaled > least ? scaled : least;
}

void suite_clear_targets(const struct suite *suite)
{
    struct peer *target;
    while (suite->target != NULL && (target = listener_accept(suite->target, 0)) != NULL)
        peer_close(target);
}
