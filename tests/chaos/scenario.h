/* A scenario: a relay with some lanes, sessions on them, and what happens meanwhile. All of it
 * follows from one number; only the timing does not. */
#ifndef CHAOS_SCENARIO_H
#define CHAOS_SCENARIO_H

#include "plan.h"

#include <stdbool.h>
#include <stdint.h>

struct scenario_totals {
    uint64_t scenarios, reloads, restarts, kills, drains, pipelines, accounts;
    uint64_t left[LEAVE_STATES]; /* clients, at the place that was drawn for them */
};
extern struct scenario_totals scenario_totals;

/* Says of each one what was drawn for it. */
extern bool scenario_verbose;

/* Runs one to its end; a failure ends the program. */
void scenario_run(const char *program, uint64_t seed, uint64_t number);

/* The same with one relay that lives through many rounds of sessions (soak.h): each begins with
 * other limits for the forwards, and ends when the relay has as many sockets as before. Some
 * sessions stand meanwhile. */
enum { SOAK_WORKERS = 2 };
int scenario_open(const char *program, uint64_t seed); /* returns the relay's process */
void scenario_round(void);
void scenario_close(void);

/* After a failure: prints the relay's log and what was configured, and ends the relay. */
void scenario_abandon(void);

#endif
