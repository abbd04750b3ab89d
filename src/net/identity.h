/* Users and groups by name, as the system knows them. May read files or ask a directory. */
#ifndef HVRELAY_NET_IDENTITY_H
#define HVRELAY_NET_IDENTITY_H

#include <stdint.h>

/* Returns 0, or -1 where there is no such user or group, or the system has no such numbers. */
int identity_user(const char *name, uint32_t *uid);
int identity_group(const char *name, uint32_t *gid);

#endif
