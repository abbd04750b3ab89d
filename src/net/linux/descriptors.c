#include "net/descriptors.h"

#include <dirent.h>
#include <limits.h>
#include <stdatomic.h>
#include <sys/resource.h>

enum {
    KEPT_BACK = 16, /* for what is opened beside the sessions: look-ups, log, reload */
    LENT = 12,      /* of these, until sessions end that have all the others */
    SESSION = 2     /* for the only one, if there is no more */
};

static atomic_bool counted;
static atomic_int total;
static atomic_int available;

static int count_open(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;

    if (!folder)
        return 64;
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

void descriptors_raise(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

void descriptors_count(void)
{
    struct rlimit limit = {.rlim_cur = 1024};
    int left;

    getrlimit(RLIMIT_NOFILE, &limit);
    left = limit.rlim_cur > INT_MAX ? INT_MAX : (int)limit.rlim_cur;
    left -= count_open() + KEPT_BACK;
    /* A worker may be asking: where there is a total, all of it is there to be taken. */
    atomic_fetch_add(&available, left);
    atomic_store(&total, left);
    atomic_store(&counted, true);
}

bool descriptors_take(int count, int leave)
{
    int left = atomic_load(&available);

    while (left - count >= leave) { /* never below, not even for a moment: see forward.c */
        if (atomic_compare_exchange_weak(&available, &left, left - count))
            return true;
    }
    return false;
}

void descriptors_give(int count)
{
    atomic_fetch_add(&available, count);
}

int descriptors_left(void)
{
    return atomic_load(&available);
}

bool descriptors_reserve(int count)
{
    if (!atomic_load(&counted))
        return true;
    if (atomic_load(&total) - count < SESSION || !descriptors_take(count, -LENT))
        return false;
    atomic_fetch_sub(&total, count);
    return true;
}

void descriptors_release(int count)
{
    if (!atomic_load(&counted))
        return;
    atomic_fetch_add(&total, count);
    descriptors_give(count);
}

int descriptors_total(void)
{
    return atomic_load(&total);
}
