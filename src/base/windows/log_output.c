#include "base/log_output.h"

#include "base/text.h"
#include "base/windows/eventlog.h"
#include "base/windows/wide.h"

#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <string.h>
#include <sys/stat.h>

#include <windows.h>

void log_output_begin_thread(void)
{
}

/* Who may read it is inherited from the folder. */
int log_file_open(const char *path)
{
    wchar_t wide[MAX_PATH];

    if (wide_from_utf8(path, wide, MAX_PATH) == 0)
        return _wopen(wide, _O_WRONLY | _O_APPEND | _O_CREAT | _O_NOINHERIT | _O_TEXT,
                      _S_IREAD | _S_IWRITE);
    errno = ENOENT;
    return -1;
}

void log_file_close(int fd)
{
    _close(fd);
}

long log_output_write(int fd, const char *bytes, size_t size)
{
    return _write(fd, bytes, (unsigned)size);
}

bool log_system_open(void)
{
    return eventlog_is_open();
}

const char *log_system_prefix(enum log_level level)
{
    (void)level;
    return "";
}

/* An event of the Event Log is one text, with its NUL: the fields are for log_format = json. */
size_t log_system_format(char *out, size_t size, enum log_level level, const char *message,
                         const struct log_field *fields, size_t count)
{
    (void)level;
    (void)fields;
    (void)count;
    return text_copy(out, size, message, strlen(message)) == 0 ? strlen(message) + 1 : 0;
}

long log_system_send(enum log_level level, const char *event, size_t size)
{
    return eventlog_write(level, event) == 0 ? (long)size : -1;
}
