/* What holds for every configuration and for every complaint about one. */
#ifndef TESTS_FUZZ_CONFIG_RULES_H
#define TESTS_FUZZ_CONFIG_RULES_H

#include "config/config.h"

/* A config_complain whose `arg` is the count, an int. */
void check_complaint(void *arg, const char *line);

void check_config(const struct config *config);

#endif
