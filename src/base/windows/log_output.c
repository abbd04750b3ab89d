#include "base/log_output.h"

#include "base/windows/eventlog.h"

/* Who may read it is inherited from the folder. */
FILE *log_file_open(const char *path)
{
    return fopen(path, "aN");
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

/* An event of the Event Log is one text: the fields are for log_format = json. */
int log_system_write(enum log_level level, const char *message, const struct log_field *fields,
                     size_t count)
{
    (void)fields;
    (void)count;
    return eventlog_write(level, message);
}
