#include "net/identity.h"

#include <grp.h>
#include <pwd.h>
#include <stddef.h>

int identity_user(const char *name, uint32_t *uid)
{
    const struct passwd *passwd = getpwnam(name);

    if (!passwd)
        return -1;
    *uid = passwd->pw_uid;
    return 0;
}

int identity_group(const char *name, uint32_t *gid)
{
    const struct group *group = getgrnam(name);

    if (!group)
        return -1;
    *gid = group->gr_gid;
    return 0;
}
