/* A scenario: a relay with some lanes, sessions on them, and what happens meanwhile. All of it
 * follows from one number; only the timing does not. */
#ifndef CHAOS_SCENARIO_H
#define CHAOS_SCENARIO_H

#include <stdbool.h>
#include <stdint.h>

struct scenario_totals {
    uint64_t scenarios, reloads, restarts, kills, drains;
};
extern struct scenario_totals scenario_totals;

/* Runs one to its end; a failure ends the program. */
void scenario_run(const char *program, uint64_t seed, uint64_t number);

/* After a failure: prints the relay's log and what was configured, and ends the relay. */
void scenario_abandon(void);

#endif
