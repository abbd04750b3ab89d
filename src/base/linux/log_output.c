/* The journal's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): one datagram an event, a
 * field a line. What can't be sent that way, JSON among it, goes to standard error with the level
 * in front (sd-daemon(3)). */

#include "base/log_output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

void log_output_begin_thread(void)
{
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
}

int log_file_open(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);
}

void log_file_close(int fd)
{
    close(fd);
}

/* A pipe that poll says to be writable takes PIPE_BUF bytes, whether or not it may block. */
static bool can_write(int fd)
{
    struct pollfd wanted = {.fd = fd, .events = POLLOUT};

    return poll(&wanted, 1, LOG_OUTPUT_WAIT) > 0;
}

/* 0 for what is to be tried again. Another writer was faster: that must not make a busy loop. */
static long taken(ssize_t count)
{
    if (count >= 0)
        return (long)count;
    if (errno == EAGAIN)
        poll(NULL, 0, LOG_OUTPUT_WAIT);
    return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

long log_output_write(int fd, const char *bytes, size_t size)
{
    return can_write(fd) ? taken(write(fd, bytes, size)) : 0;
}

static const int priorities[] = {3, 4, 6, 7}; /* syslog's, by level */
static const char *const prefixes[] = {"<3>", "<4>", "<6>", "<7>"};
static int journal = -1;
static bool stderr_is_journal;

/* JOURNAL_STREAM is "DEVICE:INODE" of the standard error that the service manager gave us. */
static bool find_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat info;
    char own[64];

    if (!stream || fstat(2, &info) != 0)
        return false;
    snprintf(own, sizeof own, "%ju:%ju", (uintmax_t)info.st_dev, (uintmax_t)info.st_ino);
    return strcmp(stream, own) == 0;
}

bool log_system_open(void)
{
    struct sockaddr_un address = {AF_UNIX, "/run/systemd/journal/socket"};

    stderr_is_journal = find_journal();
    if (!stderr_is_journal)
        return false;
    journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (journal >= 0 && connect(journal, (const struct sockaddr *)&address, sizeof address) == 0)
        return true;
    if (journal >= 0)
        close(journal);
    journal = -1;
    return false;
}

const char *log_system_prefix(enum log_level level)
{
    return stderr_is_journal ? prefixes[level] : "";
}

/* A line feed in a value would begin another field. */
static void append_value(char *out, size_t size, size_t *used, const char *text)
{
    for (; *text && *used + 1 < size; text++)
        out[(*used)++] = *text == '\n' ? '?' : *text;
    out[*used] = '\0';
}

/* "client" -> "HVRELAY_CLIENT": fields of our own stand beside the journal's. */
static void append_field(char *out, size_t size, size_t *used, const struct log_field *field)
{
    char number[24];

    append_value(out, size, used, "HVRELAY_");
    for (const char *c = field->name; *c && *used + 1 < size; c++)
        out[(*used)++] = (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
    append_value(out, size, used, "=");
    snprintf(number, sizeof number, "%" PRIu64, field->number);
    append_value(out, size, used, field->text ? field->text : number);
    if (*used + 1 < size)
        out[(*used)++] = '\n';
}

size_t log_system_format(char *out, size_t size, enum log_level level, const char *message,
                         const struct log_field *fields, size_t count)
{
    int head = snprintf(out, size, "SYSLOG_IDENTIFIER=hvrelay\nPRIORITY=%d\nMESSAGE=%s\n",
                        priorities[level], message);
    size_t used = head > 0 ? (size_t)head : 0;

    for (size_t i = 0; i < count; i++)
        append_field(out, size, &used, &fields[i]);
    return used;
}

long log_system_send(enum log_level level, const char *event, size_t size)
{
    (void)level;
    return can_write(journal) ? taken(send(journal, event, size, MSG_DONTWAIT | MSG_NOSIGNAL)) : 0;
}
