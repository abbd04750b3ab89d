/* The process's budget of descriptors, shared by all threads: what a session or a pipe will need is
 * taken from it before anything is opened, so that the limit is met by waiting, not by failing in
 * the middle of a session. Systems without such a limit always have some. */
#ifndef HVRELAY_NET_DESCRIPTORS_H
#define HVRELAY_NET_DESCRIPTORS_H

#include <stdbool.h>

/* Raises the limit as far as it goes. First of all. */
void descriptors_raise(void);

/* Opens the budget: all that is left of the limit. Once what is not a session's is open; until then
 * there is none. */
void descriptors_count(void);

/* Takes `count`, where at least `leave` remain after that, which may be
 * negative. */
bool descriptors_take(int count, int leave);
void descriptors_give(int count);

/* How many could be taken now. */
int descriptors_left(void);

/* The same for what is not a session's: listeners, the log file. Before the budget is opened
 * nothing is taken or given back, for what is open then is counted. False: there are none left,
 * or none would be left for a session. While sessions have them all, a few are lent, and the next
 * sessions that end pay for them. The total changes with it. */
bool descriptors_reserve(int count);
void descriptors_release(int count);

/* How many there are in all, in use or not. */
int descriptors_total(void);

#endif
