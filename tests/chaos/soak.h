/* A soak: one relay for as long as it takes, through sessions, reloads and target restarts; what it
 * uses returns to what it used. */
#ifndef CHAOS_SOAK_H
#define CHAOS_SOAK_H

#include <stdint.h>

void soak_begin(const char *program, uint64_t seed);

/* Sessions until none is left. The relay must then have the sockets of before, and once it has
 * settled all other descriptors and the threads of then. */
void soak_round(void);

/* From here on what the relay keeps for reuse is there: its memory may not grow much more. */
void soak_settle(void);

/* What the relay uses now, as a line. */
void soak_report(void);

/* Looks at memory and timers, and stops the relay. */
void soak_end(void);

#endif
