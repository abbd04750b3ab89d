/* The inside of a listener, for its acceptors. */
#ifndef HVRELAY_NET_LINUX_LISTENER_OS_H
#define HVRELAY_NET_LINUX_LISTENER_OS_H

#include "net/address.h"
#include "net/listener.h"

#include <stdatomic.h>
#include <sys/stat.h>

/* Who may connect to a unix socket. */
struct file_access {
    mode_t mode;
    uid_t uid;
    gid_t gid;
};

struct listener {
    atomic_uint users;
    struct endpoint endpoint;
    int count;
    int fds[LISTENER_SOCKETS];
    enum family families[LISTENER_SOCKETS]; /* vsock for a hyperv endpoint */
    struct sock_options options;            /* in force, and before the last adjustment: */
    struct sock_options options_before;
    struct file_access access_before;
    struct listener *const *leaving; /* while it is opened: see listener_replace */
    size_t leaving_count;
    bool single;          /* there is only one stream, and it is here already */
    struct incoming only; /* that one */
    atomic_bool taken;    /* it has been handed out */
    bool claimed;         /* see listener_claim */
    bool has_path;        /* we made the unix socket's file, and it is this one: */
    dev_t path_device;
    ino_t path_inode;
    uid_t made_uid; /* whose it was when it was made */
    gid_t made_gid;
};

/* Is that the socket's file? Somebody may have put another one in its place, which is not ours to
 * change or remove. */
bool listener_owns(const struct listener *listener, const struct stat *info);

/* Gives the file of a unix socket the mode and owner of the options. */
int listener_set_access(const struct listener *listener, const struct sock_options *options,
                        struct err *err);

/* The socket of a leaving listener that is bound to this very address, with its options: a
 * descriptor of the caller's. Returns UV_ENOENT if there is none, or another error number. */
int overlap_take(struct listener *listener, const struct address *address);

/* Whether `fd` may be bound where the leaving ones listen. */
void overlap_allow(const struct listener *listener, int fd, bool on);

#endif
