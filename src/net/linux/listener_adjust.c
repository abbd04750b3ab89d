/* What can be changed about a listener while it listens, and changed back. */

#include "listener_os.h"

#include "base/log.h"
#include "base/text.h"
#include "net/identity.h"
#include "sock_os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int system_code(void)
{
    return uv_translate_sys_error(errno);
}

/* "user", "user:group", ":group"; what is not named stays. */
static int look_up_owner(const char *text, uint32_t *uid, uint32_t *gid, struct err *err)
{
    char user[sizeof((struct sock_options *)0)->socket_owner];
    const char *colon = strchr(text, ':');

    (void)text_copy(user, sizeof user, text, colon ? (size_t)(colon - text) : strlen(text));
    if (user[0] && identity_user(user, uid) != 0)
        return err_set(err, UV_ENOENT, "there is no user '%s'", user);
    if (colon && identity_group(colon + 1, gid) != 0)
        return err_set(err, UV_ENOENT, "there is no group '%s'", colon + 1);
    return 0;
}

/* The file itself, so that what is changed is what was looked at: whoever may write to the folder
 * could put a link to any file in its place meanwhile. Returns -1 where it is not ours. */
static int open_path(const struct listener *listener, struct file_access *access, struct err *err)
{
    int fd = open(listener->endpoint.u.local.path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat info;

    if (fd < 0 && errno != ENOENT)
        return err_system(err, system_code(), "cannot open the socket's file");
    if (fd >= 0 && fstat(fd, &info) == 0 && listener_owns(listener, &info)) {
        *access = (struct file_access){info.st_mode & 07777, info.st_uid, info.st_gid};
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return err_set(err, UV_ENOENT, "the socket's file was removed or replaced");
}

static int set_mode(int fd, mode_t mode, struct err *err)
{
    char link[32]; /* fchmod wants more than a path's descriptor */

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    return chmod(link, mode) == 0 ? 0 : err_system(err, system_code(), "cannot set its mode");
}

/* Narrows the mode first, for the new owner or group must not have what is meant for the old. */
static int change_access(int fd, const struct file_access *from, const struct file_access *to,
                         const char *owner, struct err *err)
{
    mode_t both = from->mode & to->mode;

    if (both != from->mode && set_mode(fd, both, err) != 0)
        return -1;
    if ((from->uid != to->uid || from->gid != to->gid) &&
        fchownat(fd, "", to->uid, to->gid, AT_EMPTY_PATH) != 0)
        return err_system(err, system_code(), "cannot give it to '%s'",
                          owner[0] ? owner : "its first owner");
    return both == to->mode ? 0 : set_mode(fd, to->mode, err);
}

/* Opens the file, and finds who may connect now and who should. Returns its descriptor or -1. */
static int compare_access(const struct listener *listener, const struct sock_options *options,
                          struct file_access *from, struct file_access *to, struct err *err)
{
    *to = (struct file_access){options->socket_mode ? (mode_t)options->socket_mode : 0600,
                               listener->made_uid, listener->made_gid};
    if (look_up_owner(options->socket_owner, &to->uid, &to->gid, err) != 0)
        return -1;
    return open_path(listener, from, err);
}

/* Until it listens nobody can connect, so there is no moment at which it is open too wide. */
int listener_set_access(const struct listener *listener, const struct sock_options *options,
                        struct err *err)
{
    struct file_access from = {0}, to = {0};
    int fd = compare_access(listener, options, &from, &to, err);
    int status;

    if (fd < 0)
        return -1;
    status = change_access(fd, &from, &to, options->socket_owner, err);
    close(fd);
    return status;
}

bool listener_is_intact(const struct listener *listener)
{
    struct stat info;

    if (!listener->has_path)
        return true;
    if (lstat(listener->endpoint.u.local.path, &info) == 0)
        return listener_owns(listener, &info);
    return errno != ENOENT && errno != ENOTDIR;
}

static int change_sockets(struct listener *listener, const struct sock_options *from,
                          const struct sock_options *to, struct err *err)
{
    for (int i = 0; i < listener->count; i++) {
        struct address bound = {.length = sizeof bound.sa, .family = listener->families[i]};
        int status;

        if (getsockname(listener->fds[i], (struct sockaddr *)&bound.sa, &bound.length) != 0)
            return err_system(err, system_code(), "cannot learn its address");
        status = sock_change_options(listener->fds[i], &bound, from, to);
        if (status != 0)
            return err_system(err, status, "cannot change its options");
        if (listen(listener->fds[i], (int)to->backlog) != 0)
            return err_system(err, system_code(), "cannot change the backlog");
    }
    return 0;
}

/* Clients of a socket that is to be closed to them come last: until then it can be taken back. */
int listener_adjust(struct listener *listener, const struct sock_options *options, struct err *err)
{
    struct file_access to = {0};
    int fd = -1, status;

    if (listener->has_path) {
        fd = compare_access(listener, options, &listener->access_before, &to, err);
        if (fd < 0)
            return -1;
    }
    listener->options_before = listener->options;
    listener->options = *options;
    status = change_sockets(listener, &listener->options_before, options, err);
    if (status == 0 && fd >= 0)
        status = change_access(fd, &listener->access_before, &to, options->socket_owner, err);
    if (fd >= 0)
        close(fd);
    if (status != 0)
        listener_undo(listener);
    return status;
}

static int restore_access(const struct listener *listener, struct err *err)
{
    struct file_access now = {0};
    int fd = open_path(listener, &now, err);
    int status;

    if (fd < 0)
        return -1;
    status = change_access(fd, &now, &listener->access_before, "", err);
    close(fd);
    return status;
}

void listener_undo(struct listener *listener)
{
    char text[ENDPOINT_TEXT];
    struct err err;
    int status = listener->has_path ? restore_access(listener, &err) : 0;

    if (change_sockets(listener, &listener->options, &listener->options_before, &err) != 0)
        status = -1;
    listener->options = listener->options_before;
    if (status == 0)
        return;
    endpoint_format(&listener->endpoint, text, sizeof text);
    log_error("'%s' is not as it was before the reload: %s", text, err.msg);
}
