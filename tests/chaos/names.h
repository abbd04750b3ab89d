/* Names for targets, and the name server that knows them: a thread of ours on port 53 of the run's
 * own network, which resolv.conf leads to in a mount namespace of our own. It may stall.
 *
 * A name has one address, the target's; or two, the first of which swallows who connects to it. */
#ifndef CHAOS_NAMES_H
#define CHAOS_NAMES_H

#include <stdbool.h>
#include <stdint.h>

enum naming { NAMING_NONE, NAMING_ONE, NAMING_TWO };

/* Once, in a network of our own. Where it can't be had there are no names. */
void names_begin(void);
bool names_are_there(void);

/* The host of a target that has that port of 127.0.0.1. */
const char *names_host(enum naming naming);

/* From now on questions are (not) answered; those that were not are asked again by the system after
 * a second. */
void names_stall(bool stall);

/* Of all names together. */
uint64_t names_answered(void), names_ignored(void);

/* An address whose queue is full: the first one of NAMING_TWO. False: it can't be had. */
struct swallower {
    int listener, filler;
};
bool swallower_open(struct swallower *swallower, uint16_t port);
void swallower_close(struct swallower *swallower);

#endif
