/* The commands that move bytes: run, forward, connect. */

#include "cli/command.h"

#include "app/process.h"

#include <string.h>

static int run_and_free(struct config *config, const char *path)
{
    enum app_status status = app_run(config, path);

    config_free(config);
    return (int)status;
}

int command_run(const struct arguments *arguments)
{
    const char *path = arguments->config ? arguments->config : process_default_config();
    struct config config;

    if (config_load(path, &config, command_complain, NULL) != 0)
        return APP_MISCONFIGURED;
    return run_and_free(&config, strcmp(path, "-") == 0 ? NULL : path);
}

int command_forward(const struct arguments *arguments)
{
    struct config config;

    if (config_from_arguments("forward", arguments->operands[0], arguments->operands[1],
                              arguments->settings, arguments->setting_count, &config,
                              command_complain, NULL) != 0)
        return APP_MISCONFIGURED;
    return run_and_free(&config, NULL);
}

/* One session on one worker; as ssh's ProxyCommand its log would land on the user's terminal, so
 * only what went wrong is told. Settings of the user come last and win. */
int command_connect(const struct arguments *arguments)
{
    char quiet[] = "log_level=warning", single[] = "workers=1";
    char *settings[34] = {quiet, single};
    struct config config;

    for (int i = 0; i < arguments->setting_count; i++)
        settings[i + 2] = arguments->settings[i];
    if (config_from_arguments("connect", "stdio", arguments->operands[0], settings,
                              arguments->setting_count + 2, &config, command_complain, NULL) != 0)
        return APP_MISCONFIGURED;
    return run_and_free(&config, NULL);
}
