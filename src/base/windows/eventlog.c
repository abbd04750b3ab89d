#include "base/windows/eventlog.h"

#include "base/windows/wide.h"
#include "base/windows/winerr.h"

#include <uv.h>

#include <windows.h>

/* An event is a number whose text lies in some file's resources. EventCreate.exe, which every
 * Windows has for this, gives the numbers 1 to 1000 the text "%1". */
#define MESSAGE_FILE L"%SystemRoot%\\System32\\EventCreate.exe"
#define EVENT_ID     1

#define SOURCES L"SYSTEM\\CurrentControlSet\\Services\\EventLog\\Application\\"

enum { PATH_ROOM = 160 };

static HANDLE opened; /* NULL: not; it lives as long as the process */

static int key_path(const char *source, wchar_t *out)
{
    wchar_t name[PATH_ROOM];

    out[0] = L'\0';
    if (wide_from_utf8(source, name, PATH_ROOM - sizeof SOURCES / sizeof(wchar_t)) != 0)
        return -1;
    wcscat(wcscpy(out, SOURCES), name);
    return 0;
}

static LSTATUS write_source(HKEY key)
{
    const DWORD types = EVENTLOG_ERROR_TYPE | EVENTLOG_WARNING_TYPE | EVENTLOG_INFORMATION_TYPE;
    LSTATUS status = RegSetValueExW(key, L"EventMessageFile", 0, REG_EXPAND_SZ,
                                    (const BYTE *)MESSAGE_FILE, sizeof MESSAGE_FILE);

    if (status != ERROR_SUCCESS)
        return status;
    return RegSetValueExW(key, L"TypesSupported", 0, REG_DWORD, (const BYTE *)&types, sizeof types);
}

int eventlog_install(const char *source, struct err *err)
{
    wchar_t path[PATH_ROOM];
    HKEY key;
    LSTATUS status;

    if (key_path(source, path) != 0)
        return err_set(err, UV_EINVAL, "'%s' cannot be the name of an event source", source);
    status = RegCreateKeyExW(HKEY_LOCAL_MACHINE, path, 0, NULL, 0, KEY_WRITE, NULL, &key, NULL);
    if (status == ERROR_SUCCESS) {
        status = write_source(key);
        RegCloseKey(key);
    }
    if (status == ERROR_SUCCESS)
        return 0;
    return err_windows(err, (unsigned long)status, "cannot register '%s' with the Event Log",
                       source);
}

int eventlog_uninstall(const char *source, struct err *err)
{
    wchar_t path[PATH_ROOM];
    LSTATUS status;

    if (key_path(source, path) != 0)
        return err_set(err, UV_EINVAL, "'%s' cannot be the name of an event source", source);
    status = RegDeleteKeyW(HKEY_LOCAL_MACHINE, path);
    if (status == ERROR_SUCCESS || status == ERROR_FILE_NOT_FOUND)
        return 0;
    return err_windows(err, (unsigned long)status, "cannot remove '%s' from the Event Log", source);
}

static WORD type_of(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_ERROR:
        return EVENTLOG_ERROR_TYPE;
    case LOG_LEVEL_WARNING:
        return EVENTLOG_WARNING_TYPE;
    default:
        return EVENTLOG_INFORMATION_TYPE;
    }
}

void eventlog_open(const char *source)
{
    wchar_t name[PATH_ROOM];

    if (wide_from_utf8(source, name, PATH_ROOM) == 0)
        opened = RegisterEventSourceW(NULL, name);
}

bool eventlog_is_open(void)
{
    return opened != NULL;
}

int eventlog_write(enum log_level level, const char *message)
{
    wchar_t text[1024];
    const wchar_t *strings[] = {text};

    if (!opened || wide_from_utf8(message, text, 1024) != 0)
        return -1;
    return ReportEventW(opened, type_of(level), 0, EVENT_ID, NULL, 1, 0, strings, NULL) ? 0 : -1;
}
