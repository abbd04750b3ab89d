/* Listening sockets that the service manager hands over (sd_listen_fds(3)): descriptors from 3 on,
 * with names. They stay open for the life of the process, so that a reload can take them again. */
#ifndef HVRELAY_NET_LINUX_ACTIVATION_H
#define HVRELAY_NET_LINUX_ACTIVATION_H

#include "base/err.h"

enum { ACTIVATION_NAME = 256 }; /* bytes of a name, with its end */

/* Fills `out` with the sockets of that name. Returns how many, or -1 if there is none, or more than
 * `most`. */
int activation_find(const char *name, int *out, int most, struct err *err);

/* The descriptor in that place, from 0 on, and its name ("" if it has none). -1 after the last. */
int activation_at(int place, char name[ACTIVATION_NAME]);

#endif
