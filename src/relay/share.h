/* A rate that sessions share, over any number of threads, by turns (deficit round robin).
 *
 * Those that want to read stand in a ring. As time brings bytes, they are given out in its order, a
 * quantum for each, and what is more than a quantum for all is divided equally. A place in the ring
 * is kept until its owner wants no more, so that one whose thread is late loses nothing. A newcomer
 * waits for one round at most: (places * quantum / rate), and for its timer.
 *
 * A quantum is 1/1024 of the rate, from 256 B to 4 KiB, and never more than 10 ms worth. Rest is
 * not saved up: over any time no more than 30 ms worth (one byte, if that is more) beyond the rate
 * is given out. No thread waits for another, nor wakes it: each asks again when it is told to. */
#ifndef HVRELAY_RELAY_SHARE_H
#define HVRELAY_RELAY_SHARE_H

#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct share {
    uv_mutex_t lock;     /* of all below, held for a few instructions */
    struct list ring;    /* of places; the first is the next to be given a quantum */
    uint64_t count;      /* of places in the ring */
    uint64_t number;     /* of the next place that is put at its end */
    uint64_t rate;       /* bytes a second */
    uint64_t paid_until; /* ns: the time whose bytes have been given out */
};

/* One direction's place; belongs to one thread. */
struct place {
    struct list link; /* in the ring */
    uint64_t number;  /* rises along the ring */
    uint64_t given;   /* bytes that wait for the owner. This and the above are under the lock */
    uint64_t hand;    /* bytes it may use, of the owner alone */
    bool in_ring;     /* as the owner knows */
};

/* Returns 0 or a libuv error number. The rate is 0 until it is set, and must be set before use. */
int share_init(struct share *share);
void share_destroy(struct share *share);

/* From any thread. It holds from now on for all places, those that wait included. */
void share_set_rate(struct share *share, uint64_t rate);

static inline void place_init(struct place *place)
{
    list_init(&place->link);
    place->number = place->given = place->hand = 0;
    place->in_ring = false;
}

/* Called with nothing in hand: takes what there is for this place, into `hand`, or a place in the
 * ring. Returns true, or false and *wait, the ns after which to ask again (no harm in asking
 * sooner). `now` is uv_hrtime. */
bool share_ask(struct share *share, struct place *place, uint64_t now, uint64_t *wait);

/* Wants no more: leaves the ring and gives back what it has, or, where it is to keep some, all but
 * a quantum. */
void share_leave(struct share *share, struct place *place, bool keep);

#endif
