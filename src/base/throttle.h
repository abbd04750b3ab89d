/* A rate, kept smoothly by any number of threads: one number says until when the past use has been
 * paid for (the generic cell rate algorithm). Times are in ns of one monotonic clock. */
#ifndef HVRELAY_BASE_THROTTLE_H
#define HVRELAY_BASE_THROTTLE_H

#include <stdatomic.h>
#include <stdint.h>

struct throttle {
    atomic_ullong paid_until;
};

/* How much may be used right now: at most `most`, and no more than 10 ms worth of the rate (units a
 * second, > 0), so that use is spread. 0: nothing before *wait ns have passed. Whoever asks up to
 * 20 ms later than that may make up for it, or late timers would cost a part of the rate: over any
 * time at most 30 ms worth more than the rate is used. Longer rest is not saved up. */
uint64_t throttle_ask(const struct throttle *throttle, uint64_t rate, uint64_t most, uint64_t now,
                      uint64_t *wait);

/* `used` units have been used. */
void throttle_pay(struct throttle *throttle, uint64_t rate, uint64_t used, uint64_t now);

/* Nothing is owed any more: there is another rate. */
void throttle_reset(struct throttle *throttle);

#endif
