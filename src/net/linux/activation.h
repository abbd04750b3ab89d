/* Listening sockets that the service manager hands over (sd_listen_fds(3)): descriptors from 3 on,
 * with names. They stay open for the life of the process, so that a reload can take them again. */
#ifndef HVRELAY_NET_LINUX_ACTIVATION_H
#define HVRELAY_NET_LINUX_ACTIVATION_H

#include "base/err.h"

/* Fills `out` with the sockets of that name. Returns how many, or -1 where there is none. */
int activation_find(const char *name, int *out, int most, struct err *err);

#endif
