#include "session/forward.h"

#include "net/descriptors.h"
#include "net/resolve.h"

#include <assert.h>
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
    terms->has_ip = resolve_ip(&config->connect, &terms->ip) == 1;
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

static int init_shares(struct share shares[2])
{
    int status = share_init(&shares[0]);

    if (status != 0)
        return status;
    status = share_init(&shares[1]);
    if (status != 0)
        share_destroy(&shares[0]);
    return status;
}

static void set_rate(struct forward *forward, uint64_t rate)
{
    for (int side = 0; side < 2 && rate > 0; side++)
        share_set_rate(&forward->bandwidth[side], rate);
}

struct forward *forward_create(const struct forward_config *config)
{
    struct forward *forward = calloc(1, sizeof *forward);

    if (!forward)
        return NULL;
    if (init_shares(forward->bandwidth) != 0) {
        free(forward);
        return NULL;
    }
    set_rate(forward, config->rate_limit);
    memcpy(forward->name, config->name, sizeof forward->name);
    atomic_init(&forward->users, 1);
    return forward;
}

void forward_take_terms(struct forward *forward, const struct terms *terms)
{
    set_rate(forward, terms->config.rate_limit);
}

struct forward *forward_share(struct forward *forward)
{
    atomic_fetch_add(&forward->users, 1);
    return forward;
}

void forward_release(struct forward *forward)
{
    if (atomic_fetch_sub(&forward->users, 1) > 1)
        return;
    assert(atomic_load(&forward->sessions) == 0 && atomic_load(&forward->pending) == 0);
    share_destroy(&forward->bandwidth[0]);
    share_destroy(&forward->bandwidth[1]);
    free(forward);
}

/* What is counted for a session, and the limits of it (0: none), in the order in which it is taken.
 * The descriptors come last. */
enum { COUNTS = 3 };

struct counts {
    atomic_uint *count[COUNTS];
    unsigned most[COUNTS];
};

static struct counts counts_of(struct forward *forward, const struct terms *terms,
                               struct totals *totals)
{
    return (struct counts){
        {&forward->sessions, &forward->pending, &totals->sessions},
        {terms->config.max_sessions, terms->config.max_pending,
         atomic_load(&totals->most_sessions)},
    };
}

static bool have_room(const struct counts *counts)
{
    for (int i = 0; i < COUNTS; i++) {
        if (counts->most[i] > 0 && atomic_load(counts->count[i]) >= counts->most[i])
            return false;
    }
    return descriptors_left() >= DESCRIPTORS;
}

/* Counts up, but never above the limit, not even for a moment. */
static bool take(atomic_uint *count, unsigned most)
{
    unsigned value = atomic_load(count);

    while (most == 0 || value < most) {
        if (atomic_compare_exchange_weak(count, &value, value + 1))
            return true;
    }
    return false;
}

/* All, or nothing after all. */
static bool take_all(const struct counts *counts)
{
    int taken = 0;

    while (taken < COUNTS && take(counts->count[taken], counts->most[taken]))
        taken++;
    if (taken == COUNTS && descriptors_take(DESCRIPTORS, 0))
        return true;
    while (taken-- > 0)
        atomic_fetch_sub(counts->count[taken], 1);
    return false;
}

/* Another gate may find no room because of what is taken here for a moment, and wait. So this gate
 * asks again until it has its place or somebody else has: whoever that is wakes the other one. See
 * tests/unit/room_model.c. */
static bool take_places(const struct counts *counts)
{
    while (have_room(counts)) {
        if (take_all(counts))
            return true;
    }
    return false;
}

enum entry forward_enter(struct forward *forward, const struct terms *terms, struct totals *totals,
                         uint64_t now, uint64_t *wait)
{
    uint64_t rate = terms->config.accept_rate;
    const struct counts counts = counts_of(forward, terms, totals);

    if (rate > 0 && throttle_ask(&forward->accepts, rate, 1, now, wait) == 0)
        return ENTRY_LATER;
    if (!take_places(&counts))
        return ENTRY_FULL;
    if (rate > 0)
        throttle_pay(&forward->accepts, rate, 1, now);
    return ENTRY_GRANTED;
}

void forward_answered(struct forward *forward)
{
    atomic_fetch_sub(&forward->pending, 1);
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
