/* WSL 2's id, as WSL itself tells it: `wsl.exe --exec wslinfo --vm-id -n`. It needs no elevation,
 * but WSL belongs to a user: a service that runs as another account is told about no distribution.
 */
#include "net/windows/vms.h"

#include "base/windows/winerr.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <windows.h>

#define ANSWER_WITHIN_MS 30000
#define PIPE_BYTES       65536 /* holds all that wsl.exe may say, its help too */
#define NEEDED                                                                                     \
    "'wsl' needs WSL 2 with a distribution of the same user; try 'wsl.exe --exec wslinfo --vm-id'"

/* One stream of wsl.exe: what it has said, and the pipe it says it to. */
struct answer {
    HANDLE read, write;
    char text[4096];
    size_t length;
};

/* WSL's own messages are UTF-16 in old versions, what runs inside writes UTF-8: without the zero
 * bytes ASCII reads the same. */
static void append(struct answer *answer, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count && answer->length < sizeof answer->text - 1; i++) {
        if (bytes[i])
            answer->text[answer->length++] = bytes[i];
    }
    answer->text[answer->length] = '\0';
}

static void read_what_is_there(struct answer *answer)
{
    char bytes[256];
    DWORD ready, count;

    while (PeekNamedPipe(answer->read, NULL, 0, NULL, &ready, NULL) && ready > 0 &&
           ReadFile(answer->read, bytes, sizeof bytes, &count, NULL))
        append(answer, bytes, count);
}

/* Waits for the process, not for the end of the pipes, which its own children may keep open. */
static DWORD collect(HANDLE process, struct answer answers[2])
{
    DWORD code = WAIT_TIMEOUT;

    if (WaitForSingleObject(process, ANSWER_WITHIN_MS) == WAIT_TIMEOUT)
        TerminateProcess(process, code);
    else
        GetExitCodeProcess(process, &code);
    read_what_is_there(&answers[0]);
    read_what_is_there(&answers[1]);
    return code;
}

/* --- the process --- */

/* The end for writing can be inherited, and only by a process that is given it: see start. */
static BOOL make_pipe(struct answer *answer)
{
    SECURITY_ATTRIBUTES inherited = {.nLength = sizeof inherited, .bInheritHandle = TRUE};

    return CreatePipe(&answer->read, &answer->write, &inherited, PIPE_BYTES) &&
           SetHandleInformation(answer->read, HANDLE_FLAG_INHERIT, 0);
}

static void close_pipe(struct answer *answer)
{
    if (answer->read)
        CloseHandle(answer->read);
    if (answer->write)
        CloseHandle(answer->write);
}

/* Only the system's own wsl.exe, whatever the search path says. Warnings would come with the
 * answer, and its messages in UTF-16, but for these two variables; older versions know neither. */
static BOOL create(STARTUPINFOEXW *startup, PROCESS_INFORMATION *process)
{
    wchar_t folder[MAX_PATH], program[MAX_PATH + 16];
    wchar_t line[] = L"wsl.exe --exec wslinfo --vm-id -n";

    GetSystemDirectoryW(folder, MAX_PATH);
    swprintf(program, MAX_PATH + 16, L"%ls\\wsl.exe", folder);
    SetEnvironmentVariableW(L"WSL_UTF8", L"1");
    SetEnvironmentVariableW(L"WSL_DISABLE_WARNINGS", L"1");
    return CreateProcessW(program, line, NULL, NULL, TRUE,
                          CREATE_NO_WINDOW | EXTENDED_STARTUPINFO_PRESENT, NULL, folder,
                          &startup->StartupInfo, process);
}

/* The child inherits its two pipes, and nothing else: ssh's pipes are inheritable, too, and would
 * not end as long as WSL holds them. */
static BOOL start(struct answer answers[2], PROCESS_INFORMATION *process)
{
    STARTUPINFOEXW startup = {
        .StartupInfo = {.cb = sizeof startup, .dwFlags = STARTF_USESTDHANDLES}};
    HANDLE given[] = {answers[0].write, answers[1].write};
    BOOL started = FALSE;
    SIZE_T size = 0;

    startup.StartupInfo.hStdOutput = given[0];
    startup.StartupInfo.hStdError = given[1];
    InitializeProcThreadAttributeList(NULL, 1, 0, &size);
    startup.lpAttributeList = malloc(size);
    if (!startup.lpAttributeList ||
        !InitializeProcThreadAttributeList(startup.lpAttributeList, 1, 0, &size)) {
        free(startup.lpAttributeList);
        return FALSE;
    }
    if (UpdateProcThreadAttribute(startup.lpAttributeList, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST,
                                  given, sizeof given, NULL, NULL))
        started = create(&startup, process);
    DeleteProcThreadAttributeList(startup.lpAttributeList);
    free(startup.lpAttributeList);
    return started;
}

static int run(struct answer answers[2], DWORD *code, struct err *err)
{
    PROCESS_INFORMATION process;

    if (!make_pipe(&answers[0]) || !make_pipe(&answers[1]))
        return err_windows(err, GetLastError(), "cannot make a pipe for wsl.exe");
    if (!start(answers, &process))
        return err_windows(err, GetLastError(), "cannot run wsl.exe");
    *code = collect(process.hProcess, answers);
    CloseHandle(process.hThread);
    CloseHandle(process.hProcess);
    return 0;
}

/* --- its answer --- */

/* Takes the next line off, without its end. NULL: there is none. */
static char *next_line(char **text)
{
    char *line = *text + strspn(*text, "\r\n");
    size_t length = strcspn(line, "\r\n");

    *text = line[length] ? line + length + 1 : line + length;
    line[length] = '\0';
    return length > 0 ? line : NULL;
}

static bool find_id(const struct answer *answer, struct guid *id)
{
    char text[sizeof answer->text], *rest = text, *line;

    memcpy(text, answer->text, sizeof text);
    while ((line = next_line(&rest))) {
        if (guid_parse(line, id) == 0)
            return true;
    }
    return false;
}

static int no_id(struct answer answers[2], DWORD code, struct err *err)
{
    char *rest = answers[1].length > 0 ? answers[1].text : answers[0].text;
    const char *line = next_line(&rest);

    if (code == WAIT_TIMEOUT)
        return err_set(err, UV_ETIMEDOUT, "wsl.exe did not say its VM's id within 30 s");
    return err_set(err, UV_ENOENT, "wsl.exe did not say its VM's id, but '%s' (exit code %lu)",
                   line ? line : "", code);
}

int vms_find_wsl(struct guid *id, struct err *err)
{
    struct answer answers[2] = {0}; /* standard output and standard error */
    DWORD code = 0;
    int status = run(answers, &code, err);

    close_pipe(&answers[0]);
    close_pipe(&answers[1]);
    if (status == 0 && code == 0 && find_id(&answers[0], id))
        return 0;
    if (status == 0)
        no_id(answers, code, err);
    return err_hint(err, NEEDED);
}
