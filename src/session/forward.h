/* A forward in service: the counters that all workers share, and its terms, what was configured for
 * sessions that begin while they hold. A reload may give a forward new terms; a session keeps those
 * it began with. */
#ifndef HVRELAY_SESSION_FORWARD_H
#define HVRELAY_SESSION_FORWARD_H

#include "base/repeat.h"
#include "base/throttle.h"
#include "config/config.h"
#include "net/address.h"
#include "relay/share.h"

#include <stdatomic.h>

/* Immutable and counted: the last user frees them. */
struct terms {
    atomic_uint users;
    bool has_ip; /* the target is an IP address: */
    struct address ip;
    struct forward_config config;
};

struct terms *terms_create(const struct forward_config *config); /* NULL: no memory */
struct terms *terms_share(struct terms *terms);
void terms_release(struct terms *terms);

/* What is limited over all forwards. */
struct totals {
    atomic_uint sessions;
    atomic_uint most_sessions; /* 0: no limit */
};

struct forward {
    char name[FORWARD_NAME];
    atomic_bool single; /* for one stream, and then done; each reload writes it */
    atomic_uint users;
    atomic_uint sessions; /* begun and not ended */
    atomic_uint pending;  /* of these, whose target has not answered */
    atomic_uint ended;
    atomic_uint broken;              /* of the ended ones */
    atomic_uint_least64_t last_good; /* address of its target: see dial.h */
    struct throttle accepts;
    struct share bandwidth[2]; /* by the side it comes from; at the newest terms that limit it */
    struct repeat refusals, denials, limits; /* their log lines, which count them */
};

struct forward *forward_create(const struct forward_config *config); /* NULL: no memory */
struct forward *forward_share(struct forward *forward);
void forward_release(struct forward *forward);

/* From the main thread: sessions begin under these terms from now on. Of older ones those that had
 * a rate_limit share the new one; where there is none any more they share the old one. */
void forward_take_terms(struct forward *forward, const struct terms *terms);

enum entry {
    ENTRY_GRANTED,
    ENTRY_FULL,  /* until a session, or the wait of one for its target, ends */
    ENTRY_LATER, /* accept_rate: see *wait */
};

/* Takes a place for one more session, which is pending, and the descriptors it will need. `now` is
 * uv_hrtime. */
enum entry forward_enter(struct forward *forward, const struct terms *terms, struct totals *totals,
                         uint64_t now, uint64_t *wait);

/* It is pending no longer: its target has answered, or never will. Comes before forward_leave. */
void forward_answered(struct forward *forward);

/* Gives back the rest of what forward_enter took. */
void forward_leave(struct forward *forward, struct totals *totals);

/* Logs how often what has been told once has happened since. True where there was any. */
bool forward_tell_repeats(struct forward *forward);

#endif
