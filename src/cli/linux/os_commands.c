#include "cli/command.h"

/* Services are the business of systemd's units here. */
const struct command os_commands[] = {
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
