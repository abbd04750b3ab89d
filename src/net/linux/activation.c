#include "activation.h"

#include "base/text.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST = 3, MOST = 4096 };

/* How many descriptors were handed to this very process, not to one above it. */
static int count_handed_over(void)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    uint64_t number;

    if (!pid || !count || strtol(pid, NULL, 10) != getpid() ||
        text_number(count, MOST, &number) != 0)
        return 0;
    return (int)number;
}

/* Copies the name at the start of `names` ("web:ssh:ssh"); *names moves to the next. */
static void next_name(const char **names, char name[ACTIVATION_NAME])
{
    size_t length = strcspn(*names, ":");

    if (text_copy(name, ACTIVATION_NAME, *names, length) != 0)
        name[0] = '\0';
    *names += length;
    *names += **names == ':';
}

int activation_at(int place, char name[ACTIVATION_NAME])
{
    const char *names = getenv("LISTEN_FDNAMES");

    if (place >= count_handed_over())
        return -1;
    name[0] = '\0';
    for (int i = 0; i <= place && names; i++)
        next_name(&names, name);
    return FIRST + place;
}

static int fail_to_find(const char *name, struct err *err)
{
    if (count_handed_over() == 0)
        return err_set(err, 0,
                       "the service manager has handed over no sockets: is there a .socket "
                       "unit, and was it that which started this service?");
    return err_set(err, 0,
                   "the service manager has handed over no socket of that name: in the "
                   ".socket unit say FileDescriptorName=%s",
                   name);
}

int activation_find(const char *name, int *out, int most, struct err *err)
{
    char found[ACTIVATION_NAME];
    int count = 0, fd;

    for (int i = 0; (fd = activation_at(i, found)) >= 0; i++) {
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        if (found[0] == '\0' || strcmp(found, name) != 0)
            continue;
        if (count == most)
            return err_set(err, 0, "the service manager has handed over more than %d of them",
                           most);
        out[count++] = fd;
    }
    return count > 0 ? count : fail_to_find(name, err);
}
