# shellcheck shell=bash
# Shared by the scripts of this folder, which source it first. bash.
#   GUEST_DIR  what `setup` filled (default: build/guest of the checkout)
#   GUEST_BIN  guest-init, guest-switch and guest-hub (default: those that `setup` built)

kit=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
GUEST_DIR=$(realpath -m "${GUEST_DIR:-$kit/../../build/guest}")
GUEST_BIN=$(realpath -m "${GUEST_BIN:-$GUEST_DIR/helpers}")
export GUEST_DIR GUEST_BIN

me=$(basename "$0")

say() { printf '%s: %s\n' "$me" "$*" >&2; }

skip() {
    say "skip: $*"
    exit 77
}

# The test that calls this fails; its trap on EXIT cleans up.
fail() {
    say "FAILED: $*"
    exit 1
}

# Am I inside one of our own guests? inside.h says why to ask.
inside_guest() {
    [ "${HVRELAY_GUEST-}" = 1 ] && grep -q VM_ROOT= /proc/cmdline
}

require_guest() {
    inside_guest || skip "this uses AF_VSOCK and runs only inside a guest of tests/guest/boot"
}

# wait_for SECONDS COMMAND...: runs COMMAND again and again until it succeeds. 1 when it never did.
wait_for() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.05
    done
}

# expect WHAT SECONDS COMMAND...: wait_for, or the test fails.
expect() {
    local what=$1
    shift
    wait_for "$@" || fail "$what: not within $1 s"
}

# has_line FILE TEXT: FILE exists and has a line with TEXT in it.
has_line() { grep -qsF -- "$2" "$1"; }

# alive PID: it runs, and is a child of this script (a number that was waited for may be another's).
alive() {
    awk -v parent=$$ '/^State:/ { state = $2 } /^PPid:/ { is_mine = $2 == parent }
        END { exit !(is_mine && state != "Z") }' "/proc/$1/status" 2>/dev/null
}
gone() { ! alive "$1"; }

# stop PID...: ends those of them that are alive and waits for them.
stop() {
    local pid
    for pid; do
        gone "$pid" || kill -TERM "$pid"
    done
    for pid; do
        wait_for 10 gone "$pid" || kill -KILL "$pid"
        wait "$pid" 2>/dev/null || true
    done
}
