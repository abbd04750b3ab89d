/* The commands of the program: one function each, found by name. */
#ifndef HVRELAY_CLI_COMMAND_H
#define HVRELAY_CLI_COMMAND_H

#include "app/app.h"

/* What stands on the command line behind the command's name. */
struct arguments {
    const char *config; /* -c FILE, or NULL */
    char *operands[3];  /* what is not an option */
    int operand_count;
    char *settings[32]; /* -o KEY=VALUE */
    int setting_count;
};

struct command {
    const char *name;
    const char *synopsis;                          /* behind the name */
    const char *summary;                           /* one line */
    const char *help;                              /* the rest of --help */
    const char *options;                           /* the letters it takes, of "co" */
    int operands, most_operands;                   /* how many it must and may have */
    int (*run)(const struct arguments *arguments); /* returns the exit code */
};

/* Those of every system, and those of this one. Both end with a NULL name. */
extern const struct command commands[];
extern const struct command os_commands[];

/* Prints a line about what is wrong to standard error: a config_complain. */
void command_complain(void *arg, const char *line);

int command_run(const struct arguments *arguments);
int command_forward(const struct arguments *arguments);
int command_connect(const struct arguments *arguments);
int command_check(const struct arguments *arguments);
int command_reload(const struct arguments *arguments);
int command_guid(const struct arguments *arguments);
int command_selftest(const struct arguments *arguments);

#endif
