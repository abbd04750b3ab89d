/* Sockets that the service manager hands over and no forward names. The manager keeps them open, so
 * their clients would wait for ever: they are reset, and a warning names the socket. Each system
 * implements it in its own folder. Main thread only. */
#ifndef HVRELAY_APP_UNCLAIMED_H
#define HVRELAY_APP_UNCLAIMED_H

#include "config/config.h"

#include <uv.h>

/* Looks at the forwards that are in service from now on. */
void unclaimed_update(uv_loop_t *loop, const struct config *config);

/* Lets their clients wait, for the next start. Idempotent. */
void unclaimed_close(void);

#endif
