#include "socket_path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    LOCK_TRIES = 100,
    LOCK_PAUSE = 10,  /* ms */
    LOCK_TRUCE = 600, /* s */
};

static int socket_path_open_folder(const char *path)
{
    char folder[ENDPOINT_NAME];
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) + 1 : 0;

    if (length >= sizeof folder)
        return -1;
    memcpy(folder, path, length);
    folder[length] = '\0';
    return open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static time_t socket_path_now(void)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/* Returns 0, or -1 if it is held by somebody else all the time, or can't be had. A lock that was
 * waited for in vain is held on purpose: for a while none is waited for, or a configuration of many
 * sockets would take so many seconds. */
static int socket_path_wait_lock(int folder)
{
    static time_t truce; /* until then */
    const struct timespec pause = {0, LOCK_PAUSE * 1000000L};
    int tries = socket_path_now() < truce ? 1 : LOCK_TRIES;

    for (int i = 0; i < tries; i++) {
        if (flock(folder, LOCK_EX | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return -1;
        if (i + 1 < tries)
            nanosleep(&pause, NULL);
    }
    if (tries > 1)
        truce = socket_path_now() + LOCK_TRUCE;
    return -1;
}

/* The folder itself is locked: that leaves no file behind, and needs no right but to read it.
 * Whoever may read it can hold the lock for ever, so it is not waited for long. */
int socket_path_lock(const char *path)
{
    int folder = socket_path_open_folder(path);

    if (folder >= 0 && socket_path_wait_lock(folder) != 0) {
        close(folder);
        return -1;
    }
    return folder;
}

bool socket_path_remove_stale(const struct address *address, const char *path)
{
    struct stat info;
    int fd;
    bool stale;

    if (lstat(path, &info) != 0 || !S_ISSOCK(info.st_mode))
        return false;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    stale = connect(fd, (const struct sockaddr *)&address->sa, address->length) != 0 &&
            errno == ECONNREFUSED;
    close(fd);
    return stale && unlink(path) == 0;
}
