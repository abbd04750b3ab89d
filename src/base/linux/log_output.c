/* The journal's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): one datagram an event, a
 * field a line. */

#include "base/log_output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const int priorities[] = {3, 4, 6, 7}; /* syslog's, by level */
static int journal = -1;

/* JOURNAL_STREAM is "DEVICE:INODE" of the standard error that the service manager gave us. */
static bool stderr_is_journal(void)
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

    if (!stderr_is_journal())
        return false;
    journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (journal >= 0 && connect(journal, (const struct sockaddr *)&address, sizeof address) == 0)
        return true;
    if (journal >= 0)
        close(journal);
    journal = -1;
    return false;
}

/* "message" -> "HVRELAY_MESSAGE": fields of our own stand beside the journal's. */
static int append_field(char *out, size_t size, const struct log_field *field)
{
    char name[32];
    size_t i;

    for (i = 0; field->name[i] && i < sizeof name - 1; i++)
        name[i] = (char)(field->name[i] >= 'a' && field->name[i] <= 'z' ? field->name[i] - 'a' + 'A'
                                                                        : field->name[i]);
    name[i] = '\0';
    if (field->text)
        return snprintf(out, size, "HVRELAY_%s=%s\n", name, field->text);
    return snprintf(out, size, "HVRELAY_%s=%" PRIu64 "\n", name, field->number);
}

int log_system_write(enum log_level level, const char *message, const struct log_field *fields,
                     size_t count)
{
    char text[4096];
    int used = snprintf(text, sizeof text, "SYSLOG_IDENTIFIER=hvrelay\nPRIORITY=%d\nMESSAGE=%s\n",
                        priorities[level], message);

    for (size_t i = 0; i < count && used > 0 && (size_t)used < sizeof text; i++)
        used += append_field(text + used, sizeof text - (size_t)used, &fields[i]);
    if (used < 0 || (size_t)used >= sizeof text)
        return -1;
    return send(journal, text, (size_t)used, MSG_NOSIGNAL) == used ? 0 : -1;
}
