/* The commands that only tell something: check, guid. */

#include "cli/command.h"

#include "app/process.h"
#include "base/text.h"
#include "config/keys.h"

#include <inttypes.h>
#include <stdlib.h>

void command_complain(void *arg, const char *line)
{
    (void)arg;
    fprintf(stderr, "hvrelay: %s\n", line);
}

/* ", KEY VALUE" where it is set. */
static void print_time(const char *name, uint64_t value)
{
    char text[32];

    if (value == 0)
        return;
    text_format_duration(value, text, sizeof text);
    printf(", %s %s", name, text);
}

static void print_forward(const struct forward_config *forward)
{
    char listen[ENDPOINT_TEXT], connect[ENDPOINT_TEXT];

    endpoint_format(&forward->listen, listen, sizeof listen);
    endpoint_format(&forward->connect, connect, sizeof connect);
    text_make_printable(listen); /* whoever checks a file may not trust it yet */
    text_make_printable(connect);
    printf("forward '%s': listens on %s and connects each client to %s\n", forward->name, listen,
           connect);
    printf("  pump %s", pump_name(forward->pump));
    print_time("connect_timeout", forward->connect_timeout);
    print_time("connect_retry", forward->connect_retry);
    print_time("idle_timeout", forward->idle_timeout);
    if (forward->half_close_timeout != HALF_CLOSE_UNSET)
        print_time("half_close_timeout", forward->half_close_timeout);
    if (forward->max_sessions)
        printf(", at most %" PRIu32 " sessions", forward->max_sessions);
    printf("\n");
}

int command_check(const struct arguments *arguments)
{
    const char *path = arguments->config ? arguments->config : process_default_config();
    struct config config;

    if (config_load(path, &config, command_complain, NULL) != 0)
        return APP_MISCONFIGURED;
    for (size_t i = 0; i < config.count; i++)
        print_forward(&config.forwards[i]);
    config_free(&config);
    return APP_OK;
}

int command_guid(const struct arguments *arguments)
{
    const char *text = arguments->operands[0];
    char out[GUID_TEXT];
    struct guid guid;
    uint64_t number;
    uint32_t port;

    if (text_number(text, UINT32_MAX, &number) == 0) {
        guid = guid_from_port((uint32_t)number);
        guid_format(&guid, out);
        printf("%s\n", out);
        return APP_OK;
    }
    if (guid_parse(text, &guid) != 0) {
        fprintf(stderr, "hvrelay: '%s' is neither a port nor a GUID\n", text);
        return APP_MISCONFIGURED;
    }
    if (!guid_to_port(&guid, &port)) {
        fprintf(stderr,
                "hvrelay: '%s' stands for no vsock port: those end in "
                "'-facb-11e6-bd58-64006a7986d3'\n",
                text);
        return APP_FAILED;
    }
    printf("%" PRIu32 "\n", port);
    return APP_OK;
}
