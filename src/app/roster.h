/* The forwards in service, as the configuration wants them: opened at the start, and brought in
 * line by a reload without touching what stays. Main thread only. */
#ifndef HVRELAY_APP_ROSTER_H
#define HVRELAY_APP_ROSTER_H

#include "config/config.h"
#include "session/worker.h"

struct roster;

/* An empty roster for these workers, which need not run yet. NULL: no memory. */
struct roster *roster_create(uv_loop_t *loop, struct crew *crew);

/* Makes the roster what the configuration says. A forward is known by its name, a listener by its
 * endpoint: what the old and the new configuration both have goes on without a gap, sessions that
 * run keep their old terms. Returns 0; or -1, and nothing has changed.
 *
 * A VM socket whose driver or VM is not there yet is no failure: it is tried again until it is. */
int roster_apply(struct roster *roster, const struct config *config, struct err *err);

/* The same in two steps. All that can fail is in the first, which only clients of a socket that
 * overlaps another one, or gets a new mode, could notice. The configuration must stay until the
 * second, which is one of the other two. */
struct roster_change;
int roster_prepare(struct roster *roster, const struct config *config, struct roster_change **out,
                   struct err *err);
void roster_commit(struct roster_change *change);
void roster_rollback(struct roster_change *change); /* NULL is harmless */

/* Calls for each forward that listens by now, in the order of the configuration. */
void roster_each(const struct roster *roster,
                 void (*call)(void *arg, const char *name, const struct endpoint *listen,
                              const struct endpoint *connect),
                 void *arg);

/* Sums up the log lines that were swallowed. True where there were any. */
bool roster_tell_repeats(const struct roster *roster);

/* Every forward was for one stream, and it has ended: nothing can happen any more. */
bool roster_all_done(const struct roster *roster);

/* The stream of such a forward was broken. */
bool roster_any_broken(const struct roster *roster);

/* No more attempts to listen, and no more reloads. The sockets close with the gates, which the
 * workers close when they drain. */
void roster_stop(struct roster *roster);

/* Once the workers have ended and the loop has run out. */
void roster_free(struct roster *roster);

#endif
