/* Forwards that the configuration no longer has: their sessions may end by themselves for a while,
 * and are then broken off. Main thread only. */
#ifndef HVRELAY_APP_RETIRED_H
#define HVRELAY_APP_RETIRED_H

#include "session/worker.h"

struct retired {
    uv_timer_t timer;
    struct list link;
    struct crew *crew;
    struct forward *forward;
};

/* Shares the forward. NULL: no memory. Nothing happens before retired_begin. */
struct retired *retired_create(struct crew *crew, struct forward *forward);
void retired_discard(struct retired *retired); /* that has not begun; NULL is harmless */

/* Once the forward takes nobody any more: adds it to the list, or frees it where nothing is to be
 * waited for. `timeout` in ms; 0: its sessions end whenever they do. */
void retired_begin(struct retired *retired, uv_loop_t *loop, uint64_t timeout, struct list *list);

/* Its sessions are somebody else's business from here on; frees it as the loop runs on. */
void retired_end(struct retired *retired);

#endif
