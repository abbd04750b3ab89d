#include "config_rules.h"

#include "fuzz.h"

#include <string.h>

void check_complaint(void *arg, const char *line)
{
    HOLDS(strncmp(line, "T:", 2) == 0 || strncmp(line, "arguments: ", 11) == 0);
    for (const char *c = line; *c; c++)
        HOLDS((unsigned char)*c >= 0x20 && *c != 0x7f);
    ++*(int *)arg;
}

/* An endpoint of a configuration can be written down and read again. */
static void check_endpoint(const struct endpoint *endpoint, enum endpoint_role role)
{
    char text[ENDPOINT_TEXT];
    struct endpoint same;
    struct err err;

    endpoint_format(endpoint, text, sizeof text);
    HOLDS(endpoint_parse(text, role, &same, &err) == 0);
    HOLDS(endpoint_equal(endpoint, &same));
}

static void check_forward(const struct forward_config *forward)
{
    const uint64_t year = (uint64_t)365 * 86400 * 1000;

    HOLDS(memchr(forward->name, '\0', sizeof forward->name) && forward->name[0]);
    HOLDS(strpbrk(forward->name, " \t\n'\"") == NULL);
    check_endpoint(&forward->listen, ENDPOINT_LISTEN);
    check_endpoint(&forward->connect, ENDPOINT_CONNECT);
    HOLDS(forward->connect_timeout >= 1 && forward->connect_timeout <= year);
    HOLDS(forward->connect_retry <= year && forward->idle_timeout <= year);
    HOLDS(forward->half_close_timeout <= year || forward->half_close_timeout == HALF_CLOSE_UNSET);
    HOLDS(forward->session_timeout <= year);
    HOLDS(forward->max_sessions <= 1000000 && forward->max_pending <= 1000000);
    HOLDS(forward->accept_rate <= 1000000);
    HOLDS(forward->rate_limit <= (uint64_t)1 << 40);
    HOLDS(forward->session_rate_limit <= (uint64_t)1 << 40);
    HOLDS(forward->options.backlog >= 1 && forward->options.backlog <= 65535);
    HOLDS(forward->options.socket_mode >= 1 && forward->options.socket_mode <= 0777);
    HOLDS(forward->options.send_buffer <= 1 << 30 && forward->options.receive_buffer <= 1 << 30);
    HOLDS(memchr(forward->options.socket_owner, '\0', sizeof forward->options.socket_owner));
    HOLDS(forward->access.count <= ACCESS_RULES);
}

void check_config(const struct config *config)
{
    HOLDS(config->count > 0);
    HOLDS(config->workers <= 256 && config->max_sessions <= 1000000);
    HOLDS(memchr(config->log_file, '\0', sizeof config->log_file));
    if (config->has_control)
        check_endpoint(&config->control, ENDPOINT_LISTEN);
    for (size_t i = 0; i < config->count; i++) {
        check_forward(&config->forwards[i]);
        for (size_t j = 0; j < i; j++)
            HOLDS(strcmp(config->forwards[i].name, config->forwards[j].name) != 0);
    }
}
