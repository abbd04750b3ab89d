#include "session/forward.h"

#include "net/descriptors.h"

#include <stdlib.h>
#include <string.h>

enum { DESCRIPTORS = 2 }; /* of one session: its client and its target */

struct terms *terms_create(const struct forward_config *config)
{
    struct terms *terms = malloc(sizeof *terms);

    if (!terms)
        return NULL;
    atomic_init(&terms->users, 1);
    terms->config = *config;
    return terms;
}

struct terms *terms_share(struct terms *terms)
{
    atomic_fetch_add(&terms->users, 1);
    return terms;
}

void terms_release(struct terms *terms)
{
    if (atomic_fetch_sub(&terms->users, 1) == 1)
        free(terms);
}

struct forward *forward_create(const struct forward_config *config)
{
    struct forward *forward = calloc(1, sizeof *forward);

    if (!forward)
        return NULL;
    memcpy(forward->name, config->name, sizeof forward->name);
    atomic_init(&forward->users, 1);
    return forward;
}

struct forward *forward_share(struct forward *forward)
{
    atomic_fetch_add(&forward->users, 1);
    return forward;
}

void forward_release(struct forward *forward)
{
    if (atomic_fetch_sub(&forward->users, 1) == 1)
        free(forward);
}

/* Counts up to the limit; 0 is none. */
static bool take(atomic_uint *count, unsigned most)
{
    if (atomic_fetch_add(count, 1) < most || most == 0)
        return true;
    atomic_fetch_sub(count, 1);
    return false;
}

static bool take_places(struct forward *forward, const struct terms *terms, struct totals *totals)
{
    unsigned most_pending = terms->config.max_pending;

    if (most_pending > 0 && atomic_load(&forward->pending) >= most_pending)
        return false;
    if (!take(&forward->sessions, terms->config.max_sessions))
        return false;
    if (take(&totals->sessions, atomic_load(&totals->most_sessions))) {
        if (descriptors_take(DESCRIPTORS, 0))
            return true;
        atomic_fetch_sub(&totals->sessions, 1);
    }
    atomic_fetch_sub(&forward->sessions, 1);
    return false;
}

enum entry forward_enter(struct forward *forward, const struct terms *terms, struct totals *totals,
                         uint64_t now, uint64_t *wait)
{
    uint64_t rate = terms->config.accept_rate;

    if (rate > 0 && throttle_ask(&forward->accepts, rate, 1, now, wait) == 0)
        return ENTRY_LATER;
    if (!take_places(forward, terms, totals))
        return ENTRY_FULL;
    if (rate > 0)
        throttle_pay(&forward->accepts, rate, 1, now);
    return ENTRY_GRANTED;
}

void forward_leave(struct forward *forward, struct totals *totals)
{
    atomic_fetch_sub(&forward->sessions, 1);
    atomic_fetch_sub(&totals->sessions, 1);
    descriptors_give(DESCRIPTORS);
}

static bool tell_once(struct forward *forward, struct repeat *repeat, const char *what)
{
    unsigned count = repeat_swallowed(repeat);

    if (count > 0)
        log_warning("forward '%s': %s %u more times", forward->name, what, count);
    return count > 0;
}

bool forward_tell_repeats(struct forward *forward)
{
    bool refusals = tell_once(forward, &forward->refusals, "a session was refused");
    bool denials = tell_once(forward, &forward->denials, "a client was denied");
    bool limits = tell_once(forward, &forward->limits, "a client was turned away at a limit");

    return refusals || denials || limits;
}
