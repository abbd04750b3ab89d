#include "activation.h"

#include "base/text.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST = 3, MOST = 256 };

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

/* The name at the start of `names` ("web:ssh:ssh"), compared; *names moves to the next. */
static bool next_is(const char **names, const char *name)
{
    size_t length = strcspn(*names, ":");
    bool same = strlen(name) == length && strncmp(*names, name, length) == 0;

    *names += length;
    *names += **names == ':';
    return same;
}

int activation_find(const char *name, int *out, int most, struct err *err)
{
    const char *names = getenv("LISTEN_FDNAMES");
    int handed_over = count_handed_over();
    int count = 0;

    for (int i = 0; i < handed_over && names; i++) {
        bool wanted = next_is(&names, name);

        fcntl(FIRST + i, F_SETFD, FD_CLOEXEC);
        if (wanted && count < most)
            out[count++] = FIRST + i;
    }
    if (count > 0)
        return count;
    if (handed_over == 0)
        return err_set(err, 0,
                       "the service manager has handed over no sockets: is there a .socket "
                       "unit, and was it that which started this service?");
    return err_set(err, 0,
                   "the service manager has handed over no socket of that name: in the "
                   ".socket unit say FileDescriptorName=%s",
                   name);
}
