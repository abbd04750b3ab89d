/* The commands that only Windows has. */
#ifndef HVRELAY_CLI_WINDOWS_COMMANDS_H
#define HVRELAY_CLI_WINDOWS_COMMANDS_H

#include "cli/command.h"

int command_service(const struct arguments *arguments);
int command_registry(const struct arguments *arguments);
int command_vms(const struct arguments *arguments);

/* A word of a command's own and what it does. */
struct verb {
    const char *name;
    int operands; /* how many follow it */
    /* Returns 0 or -1: with UV_EINVAL where its operands are a mistake of the command line. */
    int (*run)(const struct arguments *arguments, struct err *err);
};

/* Runs the verb that the first operand names: prints what went wrong and returns the exit code. The
 * list ends with a NULL name. */
int run_verb(const struct verb *verbs, const struct arguments *arguments);

#endif
