#include "relay/share.h"

static const uint64_t second = 1000000000;
static const uint64_t depth = 30000000;              /* ns of the past that may be made up for */
static const uint64_t reserve = 10000000;            /* ns: what is left for those who come next */
static const uint64_t longest_wait = 1000000000;     /* ns: the rate may have changed */
static const uint64_t most_rate = UINT64_C(1) << 38; /* more than a machine moves: no overflow */

enum { SMALL_QUANTUM = 256, LARGE_QUANTUM = 4096 };

int share_init(struct share *share)
{
    *share = (struct share){.rate = 0};
    list_init(&share->ring);
    return uv_mutex_init(&share->lock);
}

void share_destroy(struct share *share)
{
    uv_mutex_destroy(&share->lock);
}

void share_set_rate(struct share *share, uint64_t rate)
{
    uv_mutex_lock(&share->lock);
    share->rate = rate < most_rate ? rate : most_rate;
    uv_mutex_unlock(&share->lock);
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* How long the rate takes for that many bytes, ns. */
static uint64_t cost(const struct share *share, uint64_t bytes)
{
    return bytes / share->rate * second + bytes % share->rate * second / share->rate;
}

/* What the rate brings in that time, below a second; one byte at least. */
static uint64_t worth(const struct share *share, uint64_t time)
{
    return larger(share->rate * time / second, 1);
}

static uint64_t quantum(const struct share *share)
{
    uint64_t small = smaller(SMALL_QUANTUM, worth(share, reserve));

    return smaller(larger(share->rate / 1024, small), LARGE_QUANTUM);
}

/* The bytes that may be given out. What is older than `depth` is forgotten. */
static uint64_t available(struct share *share, uint64_t now)
{
    uint64_t most = larger(depth, cost(share, 1) + 1);

    if (share->paid_until + most < now)
        share->paid_until = now - most;
    return now > share->paid_until ? (now - share->paid_until) * share->rate / second : 0;
}

static void append(struct share *share, struct place *place)
{
    place->number = share->number++;
    list_append(&share->ring, &place->link);
}

/* Gives out in turns what there is, once around the ring at most. A place whose owner does not come
 * holds no more than `most`. */
static void give_out(struct share *share, uint64_t now)
{
    uint64_t left = available(share, now), spent = 0;
    uint64_t least = quantum(share);
    uint64_t most = larger(least, worth(share, reserve));
    uint64_t each = share->count > 0 ? larger(least, left / share->count) : 0;

    for (uint64_t i = share->count; i > 0 && left >= least; i--) {
        struct place *place = list_entry(share->ring.next, struct place, link);
        uint64_t amount = smaller(smaller(each, left), most - smaller(most, place->given));

        list_remove(&place->link);
        append(share, place);
        place->given += amount;
        left -= amount;
        spent += amount;
    }
    share->paid_until += cost(share, spent);
}

/* A newcomer, if nobody waits and the rate is not used up, gets its bytes at once. Else it joins.
 */
static void enter(struct share *share, struct place *place, uint64_t now)
{
    uint64_t left = share->count == 0 ? available(share, now) : 0;
    uint64_t kept = worth(share, reserve);

    if (left >= larger(kept, quantum(share))) {
        place->hand = larger(left - kept, quantum(share));
        share->paid_until += cost(share, place->hand);
        return;
    }
    append(share, place);
    share->count++;
    place->in_ring = true;
}

/* How long until this place's next quantum, ns, from 1. */
static uint64_t turn_after(struct share *share, const struct place *place, uint64_t now)
{
    const struct place *first = list_entry(share->ring.next, struct place, link);
    uint64_t ahead = place->number - first->number + 1;
    uint64_t needed = ahead * quantum(share), left = available(share, now);

    return smaller(needed > left ? cost(share, needed - left) : 0, longest_wait) + 1;
}

bool share_ask(struct share *share, struct place *place, uint64_t now, uint64_t *wait)
{
    uv_mutex_lock(&share->lock);
    if (!place->in_ring)
        enter(share, place, now);
    if (place->in_ring) {
        give_out(share, now);
        place->hand = place->given;
        place->given = 0;
        if (place->hand == 0)
            *wait = turn_after(share, place, now);
    }
    uv_mutex_unlock(&share->lock);
    return place->hand > 0;
}

void share_leave(struct share *share, struct place *place, bool keep)
{
    uint64_t rest;

    if (!place->in_ring && place->hand == 0)
        return;
    uv_mutex_lock(&share->lock);
    if (place->in_ring) {
        list_remove(&place->link);
        share->count--;
        place->in_ring = false;
    }
    rest = place->hand + place->given;
    place->given = 0;
    place->hand = keep ? smaller(rest, quantum(share)) : 0;
    share->paid_until -= smaller(cost(share, rest - place->hand), share->paid_until);
    uv_mutex_unlock(&share->lock);
}
