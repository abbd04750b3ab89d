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

enum { LOCK_TRIES = 100, LOCK_PAUSE = 10 /* ms */ };

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

/* The folder itself is locked: that leaves no file behind, and needs no right but to read it.
 * Whoever may read it can hold the lock for ever, so it is not waited for long. */
int socket_path_lock(const char *path)
{
    const struct timespec pause = {0, LOCK_PAUSE * 1000000L};
    int folder = socket_path_open_folder(path);

    for (int i = 0; folder >= 0 && i < LOCK_TRIES; i++) {
        if (flock(folder, LOCK_EX | LOCK_NB) == 0)
            return folder;
        if (errno != EWOULDBLOCK && errno != EINTR)
            break;
        nanosleep(&pause, NULL);
    }
    if (folder >= 0)
        close(folder);
    return -1;
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
