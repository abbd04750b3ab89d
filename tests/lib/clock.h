/* Time for deadlines. A deadline only ends a hang: no check asks whether something was fast. */
#ifndef TESTS_LIB_CLOCK_H
#define TESTS_LIB_CLOCK_H

#include <stdint.h>

/* The longest time, in milliseconds, that a test waits without seeing any progress. */
#define PATIENCE_MS 15000

/* Milliseconds of a clock that never goes back. */
uint64_t clock_ms(void);

/* What is left until `deadline` (a value of clock_ms), 0 when it has passed. */
uint64_t clock_left_ms(uint64_t deadline);

/* Sleeps between two looks at a condition. */
void clock_pause(uint64_t ms);

#endif
