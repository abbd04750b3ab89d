/* An interposed library (LD_PRELOAD): makes one kind of call fail as the driver wants, see
 * inject.h. A call that fails is not made.
 *
 * Some calls are left alone: libuv ends the process where the system does not enlarge its table of
 * descriptors, or does not register one. For the program's own descriptors it must not come to
 * that.
 */
#define _GNU_SOURCE
#include "inject.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static struct inject *inject;

/* The code of the program and of libuv. */
static struct code {
    uintptr_t start, end;
} program, libuv;
static bool
    sanitized; /* a sanitizer's own memory, and what the C library takes for it, is spared */

/* The next definition of the function that stands around it: the C library's, or a sanitizer's. */
#define REAL(name)                                                                                 \
    static __typeof__(name) *real_##name;                                                          \
    if (real_##name == NULL)                                                                       \
    *(void **)&real_##name = dlsym(RTLD_NEXT, #name)

/* Not what carries bytes, nor what waits; nor what libuv makes a loop of for a look-up, for it
 * leaves its epoll open where one of these fails. */
static bool is_of_reload(enum inject_call call)
{
    switch (call) {
    case INJECT_accept4:
    case INJECT_epoll_create1:
    case INJECT_epoll_wait:
    case INJECT_eventfd:
    case INJECT_pipe2:
    case INJECT_pthread_create:
    case INJECT_read:
    case INJECT_recv:
    case INJECT_send:
    case INJECT_shutdown:
    case INJECT_splice:
    case INJECT_write:
        return false;
    default:
        return gettid() == getpid();
    }
}

static bool fails(enum inject_call call)
{
    bool any;
    int number;

    if (inject == NULL || !atomic_load(&inject->armed))
        return false;
    any = inject->call == INJECT_ANY;
    if (any && !is_of_reload(call))
        return false;
    number = atomic_fetch_add(any ? &inject->seen_any : &inject->seen[call], 1) + 1;
    if ((!any && inject->call != (int)call) || number < inject->from ||
        number >= inject->from + inject->count)
        return false;
    atomic_fetch_add(&inject->hits, 1);
    errno = inject->error;
    return true;
}

static bool is_in(const struct code *code, const void *caller)
{
    return (uintptr_t)caller >= code->start && (uintptr_t)caller < code->end;
}

#define CALLER     __builtin_return_address(0)
#define BY_PROGRAM is_in(&program, CALLER)
#define BY_ANYBODY (!sanitized || is_in(&program, CALLER) || is_in(&libuv, CALLER))

/* ---- who said EAGAIN will say when it is over ---- */

enum { FDS_MAX = 1024, WATCHES_MAX = 8 }; /* two epolls a thread */

static struct {
    int epoll;
    struct epoll_event event;
} watches[FDS_MAX][WATCHES_MAX];

/* What is left of a descriptor that was closed does no harm: the system knows it no more. */
static void note_watch(int epoll, int fd, const struct epoll_event *event)
{
    for (int i = 0; fd >= 0 && fd < FDS_MAX && i < WATCHES_MAX; i++)
        if (watches[fd][i].epoll == 0 || watches[fd][i].epoll == epoll) {
            watches[fd][i].epoll = epoll;
            watches[fd][i].event = *event;
            return;
        }
}

/* An edge-triggered descriptor is looked at anew when it is registered anew. */
static void tell_again(int fd)
{
    REAL(epoll_ctl);
    int saved = errno;

    for (int i = 0; fd >= 0 && fd < FDS_MAX && i < WATCHES_MAX; i++)
        if (watches[fd][i].epoll != 0)
            real_epoll_ctl(watches[fd][i].epoll, EPOLL_CTL_MOD, fd, &watches[fd][i].event);
    errno = saved;
}

static bool fails_on(enum inject_call call, int fd)
{
    if (!fails(call))
        return false;
    if (errno == EAGAIN)
        tell_again(fd);
    return true;
}

/* The pumps' reads and writes, of sockets and of the pipes of standard input and output; not
 * libuv's own, nor the log's. */
static bool is_relayed(int fd, bool by_program)
{
    struct stat info;
    int saved = errno;
    bool is = fd != STDERR_FILENO && fstat(fd, &info) == 0 &&
              (S_ISSOCK(info.st_mode) || (S_ISFIFO(info.st_mode) && by_program));

    errno = saved;
    return is;
}

/* ---- the calls ---- */

int epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
    REAL(epoll_ctl);
    bool by_libuv = is_in(&libuv, CALLER);
    int status;

    if (op == EPOLL_CTL_MOD)
        note_watch(epoll, fd, event);
    if (op != EPOLL_CTL_ADD || (by_libuv && inject != NULL && inject->starting))
        return real_epoll_ctl(epoll, op, fd, event);
    note_watch(epoll, fd, event);
    status = real_epoll_ctl(epoll, op, fd, event);
    if (status != 0 || !fails(INJECT_epoll_ctl))
        return status;
    status = errno; /* it was not there before, which libuv makes use of: it would be refused */
    real_epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
    errno = status;
    return -1;
}

int epoll_wait(int epoll, struct epoll_event *events, int max, int timeout)
{
    REAL(epoll_wait);
    return fails(INJECT_epoll_wait) ? -1 : real_epoll_wait(epoll, events, max, timeout);
}

/* libuv waits by this one. */
int epoll_pwait(int epoll, struct epoll_event *events, int max, int timeout, const sigset_t *mask)
{
    REAL(epoll_pwait);
    return fails(INJECT_epoll_wait) ? -1 : real_epoll_pwait(epoll, events, max, timeout, mask);
}

int epoll_create1(int flags)
{
    REAL(epoll_create1);
    return fails(INJECT_epoll_create1) ? -1 : real_epoll_create1(flags);
}

int eventfd(unsigned initial, int flags)
{
    REAL(eventfd);
    return fails(INJECT_eventfd) ? -1 : real_eventfd(initial, flags);
}

int socket(int domain, int type, int protocol)
{
    REAL(socket);
    return fails(INJECT_socket) ? -1 : real_socket(domain, type, protocol);
}

int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    REAL(accept4);
    return fails(INJECT_accept4) ? -1 : real_accept4(fd, address, length, flags);
}

int bind(int fd, const struct sockaddr *address, socklen_t length)
{
    REAL(bind);
    return fails(INJECT_bind) ? -1 : real_bind(fd, address, length);
}

int listen(int fd, int backlog)
{
    REAL(listen);
    return fails(INJECT_listen) ? -1 : real_listen(fd, backlog);
}

int connect(int fd, const struct sockaddr *address, socklen_t length)
{
    REAL(connect);
    return fails(INJECT_connect) ? -1 : real_connect(fd, address, length);
}

int getsockname(int fd, struct sockaddr *address, socklen_t *length)
{
    REAL(getsockname);
    return fails(INJECT_getsockname) ? -1 : real_getsockname(fd, address, length);
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
    REAL(getsockopt);
    return fails(INJECT_getsockopt) ? -1 : real_getsockopt(fd, level, name, value, length);
}

int shutdown(int fd, int how)
{
    REAL(shutdown);
    return fails(INJECT_shutdown) ? -1 : real_shutdown(fd, how);
}

ssize_t recv(int fd, void *buffer, size_t size, int flags)
{
    REAL(recv);
    return fails_on(INJECT_recv, fd) ? -1 : real_recv(fd, buffer, size, flags);
}

ssize_t send(int fd, const void *buffer, size_t size, int flags)
{
    REAL(send);
    return fails_on(INJECT_send, fd) ? -1 : real_send(fd, buffer, size, flags);
}

ssize_t read(int fd, void *buffer, size_t size)
{
    REAL(read);
    return is_relayed(fd, BY_PROGRAM) && fails_on(INJECT_read, fd) ? -1
                                                                   : real_read(fd, buffer, size);
}

ssize_t write(int fd, const void *buffer, size_t size)
{
    REAL(write);
    return is_relayed(fd, BY_PROGRAM) && fails_on(INJECT_write, fd) ? -1
                                                                    : real_write(fd, buffer, size);
}

ssize_t splice(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t size,
               unsigned flags)
{
    REAL(splice);
    if (fails(INJECT_splice)) {
        if (errno == EAGAIN) {
            tell_again(from);
            tell_again(to);
        }
        return -1;
    }
    return real_splice(from, from_offset, to, to_offset, size, flags);
}

int pipe2(int ends[2], int flags)
{
    REAL(pipe2);
    return fails(INJECT_pipe2) ? -1 : real_pipe2(ends, flags);
}

/* Its third argument, where there is one, is a number or a pointer: as wide as a register. */
int fcntl(int fd, int command, ...)
{
    REAL(fcntl);
    va_list args;
    va_start(args, command);
    void *argument = va_arg(args, void *);
    va_end(args);
    return BY_PROGRAM && fails(INJECT_fcntl) ? -1 : real_fcntl(fd, command, argument);
}

int chmod(const char *path, mode_t mode)
{
    REAL(chmod);
    return fails(INJECT_chmod) ? -1 : real_chmod(path, mode);
}

int fchownat(int folder, const char *path, uid_t user, gid_t group, int flags)
{
    REAL(fchownat);
    return fails(INJECT_fchownat) ? -1 : real_fchownat(folder, path, user, group, flags);
}

int flock(int fd, int operation)
{
    REAL(flock);
    return fails(INJECT_flock) ? -1 : real_flock(fd, operation);
}

FILE *fopen(const char *path, const char *mode)
{
    REAL(fopen);
    return BY_PROGRAM && fails(INJECT_fopen) ? NULL : real_fopen(path, mode);
}

int open(const char *path, int flags, ...)
{
    REAL(open);
    va_list args;
    va_start(args, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    return BY_PROGRAM && fails(INJECT_open) ? -1 : real_open(path, flags, mode);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *argument)
{
    REAL(pthread_create);
    return fails(INJECT_pthread_create) ? inject->error
                                        : real_pthread_create(thread, attributes, run, argument);
}

void *malloc(size_t size)
{
    REAL(malloc);
    return BY_ANYBODY && fails(INJECT_malloc) ? NULL : real_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    REAL(calloc);
    return BY_ANYBODY && fails(INJECT_calloc) ? NULL : real_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    REAL(realloc);
    return BY_PROGRAM && fails(INJECT_realloc) ? NULL : real_realloc(old, size);
}

/* ---- the beginning ---- */

/* The first object is the program; it has no name. */
static int learn_code(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct code *code = strstr(info->dlpi_name, "libuv") != NULL ? &libuv : &program;

    (void)size;
    (void)arg;
    for (int i = 0; i < info->dlpi_phnum && code->end == 0; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || (part->p_flags & PF_X) == 0)
            continue;
        code->start = info->dlpi_addr + part->p_vaddr;
        code->end = code->start + part->p_memsz;
    }
    return 0;
}

static void __attribute__((constructor)) begin(void)
{
    const char *path = getenv(INJECT_FILE);
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *shared;

    if (fd < 0)
        return;
    dl_iterate_phdr(learn_code, NULL);
    sanitized = dlsym(RTLD_DEFAULT, "__asan_init") != NULL;
    shared = mmap(NULL, sizeof *inject, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (shared != MAP_FAILED)
        inject = shared;
}
