/* The service side: the SCM's two callbacks and the status they report. */
#include "cli/windows/service.h"

#include "base/windows/eventlog.h"
#include "base/windows/winerr.h"

#include <stdio.h>

#include <windows.h>

/* Exit codes of the program, as in main: a wrong configuration is not cured by another start. */
enum { EXIT_RUNTIME = 1, EXIT_CONFIGURATION = 2 };

/* How long the SCM waits for the next sign of life while the service starts or drains. The thread
 * below gives one every second. */
#define PATIENCE_MS 10000
#define SIGN_MS     1000

/* The SCM hands its callbacks no pointer to begin with, and there is one service in a process. */
static struct {
    const struct service_program *program;
    SERVICE_STATUS_HANDLE handle;
    SRWLOCK lock; /* guards what follows */
    DWORD state, checkpoint;
    HANDLE ended; /* the service's thread is done: no more signs of life */
    int exit_code;
} service = {.lock = SRWLOCK_INIT};

/* Under the lock. */
static void report(DWORD state)
{
    bool pending = state == SERVICE_START_PENDING || state == SERVICE_STOP_PENDING;
    SERVICE_STATUS status = {
        .dwServiceType = SERVICE_WIN32_OWN_PROCESS,
        .dwCurrentState = state,
        .dwControlsAccepted =
            state == SERVICE_RUNNING
                ? SERVICE_ACCEPT_STOP | SERVICE_ACCEPT_PRESHUTDOWN | SERVICE_ACCEPT_PARAMCHANGE
                : 0,
        .dwWaitHint = pending ? PATIENCE_MS : 0,
    };

    if (pending)
        status.dwCheckPoint = ++service.checkpoint;
    /* The failure actions start it again after an exit code; see above for the one exception. */
    if (state == SERVICE_STOPPED && service.exit_code != 0 &&
        service.exit_code != EXIT_CONFIGURATION) {
        status.dwWin32ExitCode = ERROR_SERVICE_SPECIFIC_ERROR;
        status.dwServiceSpecificExitCode = (DWORD)service.exit_code;
    }
    service.state = state;
    SetServiceStatus(service.handle, &status);
}

static void enter(DWORD state)
{
    AcquireSRWLockExclusive(&service.lock);
    report(state);
    ReleaseSRWLockExclusive(&service.lock);
}

/* A drain may take its time, and so may a listener that waits for its VM. */
static DWORD WINAPI give_signs_of_life(void *unused)
{
    (void)unused;
    while (WaitForSingleObject(service.ended, SIGN_MS) == WAIT_TIMEOUT) {
        AcquireSRWLockExclusive(&service.lock);
        if (service.state != SERVICE_RUNNING)
            report(service.state);
        ReleaseSRWLockExclusive(&service.lock);
    }
    return 0;
}

void service_ready(void)
{
    AcquireSRWLockExclusive(&service.lock);
    if (service.state == SERVICE_START_PENDING)
        report(SERVICE_RUNNING);
    ReleaseSRWLockExclusive(&service.lock);
}

void service_stopping(void)
{
    AcquireSRWLockExclusive(&service.lock);
    if (service.state != SERVICE_STOP_PENDING)
        report(SERVICE_STOP_PENDING);
    ReleaseSRWLockExclusive(&service.lock);
}

static DWORD WINAPI on_control(DWORD control, DWORD type, void *data, void *context)
{
    (void)type;
    (void)data;
    (void)context;
    switch (control) {
    case SERVICE_CONTROL_STOP:
    case SERVICE_CONTROL_PRESHUTDOWN:
        service_stopping(); /* here: who asked looks at the state as soon as this returns */
        service.program->stop(service.program->arg);
        return NO_ERROR;
    case SERVICE_CONTROL_PARAMCHANGE:
        service.program->reload(service.program->arg);
        return NO_ERROR;
    case SERVICE_CONTROL_INTERROGATE:
        return NO_ERROR;
    default:
        return ERROR_CALL_NOT_IMPLEMENTED;
    }
}

static void say_how_it_ended(void)
{
    char text[128];

    if (service.exit_code == 0) {
        eventlog_write(LOG_LEVEL_INFO, "the service has stopped");
        return;
    }
    snprintf(text, sizeof text, "the service has ended with exit code %d (%s): see its log",
             service.exit_code,
             service.exit_code == EXIT_CONFIGURATION ? "wrong configuration" : "failure");
    eventlog_write(LOG_LEVEL_ERROR, text);
}

static void WINAPI service_main(DWORD argc, wchar_t **argv)
{
    HANDLE thread;

    (void)argc;
    (void)argv;
    service.handle = RegisterServiceCtrlHandlerExW(L"" SERVICE_NAME, on_control, NULL);
    if (!service.handle)
        return;
    enter(SERVICE_START_PENDING);
    eventlog_open(SERVICE_NAME); /* a service has no standard error */
    eventlog_write(LOG_LEVEL_INFO, "the service starts");
    service.ended = CreateEventW(NULL, TRUE, FALSE, NULL);
    thread = CreateThread(NULL, 0, give_signs_of_life, NULL, 0, NULL);

    service.exit_code = service.program->run(service.program->arg);

    SetEvent(service.ended);
    if (thread) {
        WaitForSingleObject(thread, INFINITE);
        CloseHandle(thread);
    }
    say_how_it_ended();
    enter(SERVICE_STOPPED); /* the process may end at any moment now */
}

int service_dispatch(const struct service_program *program, struct err *err)
{
    wchar_t name[] = L"" SERVICE_NAME;
    const SERVICE_TABLE_ENTRYW table[] = {{name, service_main}, {NULL, NULL}};

    service.program = program;
    service.exit_code = EXIT_RUNTIME;
    if (StartServiceCtrlDispatcherW(table))
        return service.exit_code;
    if (GetLastError() == ERROR_FAILED_SERVICE_CONTROLLER_CONNECT) {
        err_set(err, 0, "'service run' is for the service manager");
        return err_hint(err, "use 'hvrelay service start', or 'hvrelay run' in a window");
    }
    return err_windows(err, GetLastError(), "cannot run as a service");
}
