/* What the emulator says, on the standard error of the process it lives in. */
#ifndef HVEMU_LOG_H
#define HVEMU_LOG_H

#define VIOLATION_EXIT 99

/* One line of what was done, when HVEMU_VERBOSE is set. */
void trace(const char *fmt, ...);

/* One line, always. */
void note(const char *fmt, ...);

/* The program broke a rule of the API that Windows would punish in ways that are hard to see:
 * says so and ends the process with VIOLATION_EXIT. */
_Noreturn void violation(const char *fmt, ...);

#endif
