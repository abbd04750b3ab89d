# shellcheck shell=bash
# For the scenarios with the product, sourced after lib.sh. They want:
#   HVRELAY  the program to test

# What a program built with sanitizers listens to, and the program itself, must reach the guests.
relay_variables=(-e HVRELAY -e ASAN_OPTIONS -e LSAN_OPTIONS -e UBSAN_OPTIONS -e TSAN_OPTIONS)

require_relay() {
    [ -n "${HVRELAY-}" ] || skip "HVRELAY does not name the program to test"
    [ -x "$HVRELAY" ] || skip "there is no program '$HVRELAY'"
    HVRELAY=$(realpath -- "$HVRELAY")
    export HVRELAY
}

# start_relay NAME: runs the configuration on standard input; $NAME.out and $NAME.err keep what it
# says. Returns when it is ready, with its process id in $relay.
start_relay() {
    cat >"$1.ini"
    "$HVRELAY" run -c "$1.ini" >"$1.out" 2>"$1.err" </dev/null &
    relay=$!
    wait_for 60 has_line "$1.out" ready || fail "the relay '$1' is not ready: $(cat "$1.err")"
}

# stop_relay NAME PID: asks it to end; the exit code must be 0 (a sanitizer's report is another).
stop_relay() {
    local code=0
    kill -TERM "$2"
    wait "$2" || code=$?
    [ $code = 0 ] || { cat "$1.err" >&2; fail "the relay '$1' ends with exit code $code"; }
}

# port_of NAME FORWARD: the TCP port where the relay NAME listens for FORWARD.
port_of() { sed -n "s/^listening $2 tcp:.*:\([0-9]*\)\$/\1/p" "$1.out"; }
