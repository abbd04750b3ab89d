/* The administrator's side: the entry in the service control manager (SCM). */
#include "cli/windows/service.h"

#include "base/windows/eventlog.h"
#include "base/windows/wide.h"
#include "base/windows/winerr.h"

#include <string.h>
#include <uv.h>

#include <windows.h>

#define NAME         L"" SERVICE_NAME
#define DISPLAY_NAME L"hvrelay"
#define DESCRIPTION  L"Forwards TCP ports and named pipes to sockets of virtual machines and back."

enum {
    COMMAND_ROOM = 1024,
    /* How long a shutdown of Windows waits for sessions to end: 10 s unless it is set, which is
     * less than the default drain_timeout of 30 s. */
    PRESHUTDOWN_MS = 60000,
};

/* --- the SCM's handles --- */

struct scm {
    SC_HANDLE manager, service; /* NULL where not open */
};

static int set_scm_error(struct err *err, DWORD error, const char *what)
{
    err_windows(err, error, "%s", what);
    switch (error) {
    case ERROR_ACCESS_DENIED:
        err_hint(err, "run it as an administrator");
        err->code = UV_EACCES;
        break;
    case ERROR_SERVICE_DOES_NOT_EXIST:
        err_hint(err, "'hvrelay service install' makes it");
        err->code = UV_ENOENT;
        break;
    case ERROR_SERVICE_MARKED_FOR_DELETE:
        err_hint(err, "it goes away once every window that shows services is closed");
        err->code = UV_EBUSY;
        break;
    default:
        break;
    }
    return -1;
}

static void scm_close(struct scm *scm)
{
    if (scm->service)
        CloseServiceHandle(scm->service);
    if (scm->manager)
        CloseServiceHandle(scm->manager);
}

/* Opens the manager, and the service unless `access` is 0. */
static int scm_open(struct scm *scm, DWORD manager_access, DWORD access, struct err *err)
{
    DWORD error;

    scm->service = NULL;
    scm->manager = OpenSCManagerW(NULL, NULL, manager_access);
    if (!scm->manager)
        return set_scm_error(err, GetLastError(), "cannot reach the service manager");
    if (access == 0)
        return 0;
    scm->service = OpenServiceW(scm->manager, NAME, access);
    if (scm->service)
        return 0;
    error = GetLastError();
    scm_close(scm);
    return set_scm_error(err, error, "cannot open the service '" SERVICE_NAME "'");
}

/* --- install --- */

/* "PROGRAM" service run -c "CONFIG". A quote cannot stand in a file name. */
static int make_command(const char *config, wchar_t out[COMMAND_ROOM], struct err *err)
{
    wchar_t program[MAX_PATH], file[MAX_PATH];
    DWORD length = GetModuleFileNameW(NULL, program, MAX_PATH);

    if (length == 0 || length == MAX_PATH)
        return err_windows(err, GetLastError(), "cannot tell where this program lies");
    if (wide_from_utf8(config, file, MAX_PATH) != 0 || wcschr(file, L'"'))
        return err_set(err, UV_EINVAL, "'%s' cannot be the path of a file", config);
    swprintf(out, COMMAND_ROOM, L"\"%ls\" service run -c \"%ls\"", program, file);
    return 0;
}

/* A system that does not know the setting goes without it: Wine lacks most of them. */
static bool configure(SC_HANDLE service, DWORD what, void *value)
{
    return ChangeServiceConfig2W(service, what, value) || GetLastError() == ERROR_INVALID_LEVEL;
}

/* It is started again after 5 s, 30 s, then every minute; also when it ends by itself with a
 * failure. A day without one starts the count anew. */
static bool configure_restarts(SC_HANDLE service)
{
    SC_ACTION actions[] = {
        {SC_ACTION_RESTART, 5000}, {SC_ACTION_RESTART, 30000}, {SC_ACTION_RESTART, 60000}};
    SERVICE_FAILURE_ACTIONSW failure = {
        .dwResetPeriod = 24 * 60 * 60,
        .cActions = sizeof actions / sizeof *actions,
        .lpsaActions = actions,
    };
    SERVICE_FAILURE_ACTIONS_FLAG flag = {.fFailureActionsOnNonCrashFailures = TRUE};

    return configure(service, SERVICE_CONFIG_FAILURE_ACTIONS, &failure) &&
           configure(service, SERVICE_CONFIG_FAILURE_ACTIONS_FLAG, &flag);
}

/* All a relay needs of LocalSystem is its identity. SeChangeNotify is what every process has;
 * SeImpersonate lets it learn who is at the other end of a named pipe. */
static bool drop_privileges(SC_HANDLE service)
{
    wchar_t privileges[] = L"SeChangeNotifyPrivilege\0SeImpersonatePrivilege\0";
    SERVICE_REQUIRED_PRIVILEGES_INFOW info = {privileges};
    SERVICE_SID_INFO sid = {SERVICE_SID_TYPE_UNRESTRICTED}; /* so that files can be given to it */

    return configure(service, SERVICE_CONFIG_REQUIRED_PRIVILEGES_INFO, &info) &&
           configure(service, SERVICE_CONFIG_SERVICE_SID_INFO, &sid);
}

static int configure_service(SC_HANDLE service, struct err *err)
{
    wchar_t text[] = DESCRIPTION;
    SERVICE_DESCRIPTIONW description = {text};
    SERVICE_DELAYED_AUTO_START_INFO delayed = {TRUE}; /* the VMs' own services come first */
    SERVICE_PRESHUTDOWN_INFO preshutdown = {PRESHUTDOWN_MS};

    if (!configure(service, SERVICE_CONFIG_DESCRIPTION, &description) ||
        !configure(service, SERVICE_CONFIG_DELAYED_AUTO_START_INFO, &delayed) ||
        !configure(service, SERVICE_CONFIG_PRESHUTDOWN_INFO, &preshutdown) ||
        !configure_restarts(service) || !drop_privileges(service))
        return set_scm_error(err, GetLastError(), "cannot configure the service");
    return eventlog_install(SERVICE_NAME, err);
}

/* One that is there keeps its account and start type, which are the administrator's. */
static int change_service(struct scm *scm, const wchar_t *command, struct err *err)
{
    scm->service = OpenServiceW(scm->manager, NAME, SERVICE_ALL_ACCESS);
    if (!scm->service)
        return set_scm_error(err, GetLastError(), "cannot open the service '" SERVICE_NAME "'");
    if (!ChangeServiceConfigW(scm->service, SERVICE_NO_CHANGE, SERVICE_NO_CHANGE, SERVICE_NO_CHANGE,
                              command, NULL, NULL, NULL, NULL, NULL, DISPLAY_NAME))
        return set_scm_error(err, GetLastError(), "cannot change the service '" SERVICE_NAME "'");
    return configure_service(scm->service, err);
}

static int create_service(struct scm *scm, const wchar_t *command, struct err *err)
{
    scm->service = CreateServiceW(scm->manager, NAME, DISPLAY_NAME, SERVICE_ALL_ACCESS,
                                  SERVICE_WIN32_OWN_PROCESS, SERVICE_AUTO_START,
                                  SERVICE_ERROR_NORMAL, command, NULL, NULL, NULL, NULL, NULL);
    if (!scm->service && GetLastError() == ERROR_SERVICE_EXISTS)
        return change_service(scm, command, err);
    if (!scm->service)
        return set_scm_error(err, GetLastError(), "cannot make the service '" SERVICE_NAME "'");
    if (configure_service(scm->service, err) == 0)
        return 0;
    DeleteService(scm->service); /* all or nothing */
    return -1;
}

int service_install(const char *config, struct err *err)
{
    wchar_t command[COMMAND_ROOM];
    struct scm scm;
    int status;

    if (make_command(config, command, err) != 0)
        return -1;
    if (scm_open(&scm, SC_MANAGER_CONNECT | SC_MANAGER_CREATE_SERVICE, 0, err) != 0)
        return -1;
    status = create_service(&scm, command, err);
    scm_close(&scm);
    return status;
}

/* --- start, stop, status --- */

static bool read_status(SC_HANDLE service, SERVICE_STATUS_PROCESS *status)
{
    DWORD needed;

    return QueryServiceStatusEx(service, SC_STATUS_PROCESS_INFO, (BYTE *)status, sizeof *status,
                                &needed);
}

/* Waits while the state is `pending`; gives up when the service has shown no progress for as long
 * as it said it would need. Windows has no call that waits for this, so it is asked. */
static int wait_while(SC_HANDLE service, DWORD pending, SERVICE_STATUS_PROCESS *status,
                      struct err *err)
{
    DWORD checkpoint = 0;
    ULONGLONG since = GetTickCount64();

    while (read_status(service, status)) {
        if (status->dwCurrentState != pending)
            return 0;
        if (status->dwCheckPoint != checkpoint) {
            checkpoint = status->dwCheckPoint;
            since = GetTickCount64();
        } else if (GetTickCount64() - since > status->dwWaitHint + 5000ull) {
            return err_set(err, UV_ETIMEDOUT, "the service makes no progress");
        }
        Sleep(50);
    }
    return set_scm_error(err, GetLastError(), "cannot ask for the state of the service");
}

static int start_and_wait(SC_HANDLE service, struct err *err)
{
    SERVICE_STATUS_PROCESS status;

    if (!StartServiceW(service, 0, NULL) && GetLastError() != ERROR_SERVICE_ALREADY_RUNNING)
        return set_scm_error(err, GetLastError(), "cannot start the service");
    if (wait_while(service, SERVICE_START_PENDING, &status, err) != 0)
        return -1;
    if (status.dwCurrentState == SERVICE_RUNNING)
        return 0;
    err_set(err, 0, "the service has ended as soon as it was started");
    return err_hint(err,
                    "the Event Log says why, or its log_file; 'hvrelay check' finds mistakes in "
                    "the configuration");
}

static int stop_and_wait(SC_HANDLE service, struct err *err)
{
    SERVICE_STATUS_PROCESS status;
    SERVICE_STATUS unused;

    if (!ControlService(service, SERVICE_CONTROL_STOP, &unused) &&
        GetLastError() != ERROR_SERVICE_NOT_ACTIVE)
        return set_scm_error(err, GetLastError(), "cannot stop the service");
    if (wait_while(service, SERVICE_STOP_PENDING, &status, err) != 0)
        return -1;
    return status.dwCurrentState == SERVICE_STOPPED ? 0
                                                    : err_set(err, 0, "the service did not stop");
}

int service_start(struct err *err)
{
    struct scm scm;
    int status;

    if (scm_open(&scm, SC_MANAGER_CONNECT, SERVICE_START | SERVICE_QUERY_STATUS, err) != 0)
        return -1;
    status = start_and_wait(scm.service, err);
    scm_close(&scm);
    return status;
}

int service_stop(struct err *err)
{
    struct scm scm;
    int status;

    if (scm_open(&scm, SC_MANAGER_CONNECT, SERVICE_STOP | SERVICE_QUERY_STATUS, err) != 0)
        return -1;
    status = stop_and_wait(scm.service, err);
    scm_close(&scm);
    return status;
}

int service_reload(struct err *err)
{
    SERVICE_STATUS unused;
    struct scm scm;
    int status = 0;

    if (scm_open(&scm, SC_MANAGER_CONNECT, SERVICE_PAUSE_CONTINUE, err) != 0)
        return -1;
    if (!ControlService(scm.service, SERVICE_CONTROL_PARAMCHANGE, &unused))
        status = set_scm_error(err, GetLastError(), "cannot have the service reload");
    scm_close(&scm);
    return status;
}

int service_uninstall(struct err *err)
{
    struct scm scm;
    int status;

    if (scm_open(&scm, SC_MANAGER_CONNECT, SERVICE_STOP | SERVICE_QUERY_STATUS | DELETE, err) != 0)
        return -1;
    status = stop_and_wait(scm.service, err);
    if (status == 0 && !DeleteService(scm.service))
        status = set_scm_error(err, GetLastError(), "cannot remove the service");
    scm_close(&scm);
    return status == 0 ? eventlog_uninstall(SERVICE_NAME, err) : -1;
}

static int read_command(SC_HANDLE service, char *out, size_t size, struct err *err)
{
    union {
        QUERY_SERVICE_CONFIGW config;
        BYTE room[8192]; /* the most it can be */
    } u;
    DWORD needed;

    if (!QueryServiceConfigW(service, &u.config, sizeof u, &needed))
        return set_scm_error(err, GetLastError(), "cannot read the configuration of the service");
    utf8_from_wide(u.config.lpBinaryPathName, out, size);
    return 0;
}

static int fill_status(SC_HANDLE service, struct service_status *out, struct err *err)
{
    SERVICE_STATUS_PROCESS status;

    if (!read_status(service, &status))
        return set_scm_error(err, GetLastError(), "cannot ask for the state of the service");
    out->state = status.dwCurrentState == SERVICE_RUNNING   ? SERVICE_IS_RUNNING
                 : status.dwCurrentState == SERVICE_STOPPED ? SERVICE_IS_STOPPED
                                                            : SERVICE_CHANGING;
    out->pid = status.dwProcessId;
    if (status.dwWin32ExitCode == ERROR_SERVICE_SPECIFIC_ERROR)
        out->exit_code = status.dwServiceSpecificExitCode;
    else if (status.dwWin32ExitCode != ERROR_SERVICE_NEVER_STARTED)
        out->exit_code = status.dwWin32ExitCode;
    return read_command(service, out->command, sizeof out->command, err);
}

int service_query(struct service_status *out, struct err *err)
{
    struct scm scm;
    int status;

    memset(out, 0, sizeof *out);
    if (scm_open(&scm, SC_MANAGER_CONNECT, SERVICE_QUERY_STATUS | SERVICE_QUERY_CONFIG, err) != 0)
        return err->code == UV_ENOENT ? 0 : -1; /* SERVICE_ABSENT */
    status = fill_status(scm.service, out, err);
    scm_close(&scm);
    return status;
}
