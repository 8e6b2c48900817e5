#!/bin/sh
# Runs a pgbouncer on behalf of the process that holds the other end of the standard input, as watchdog.sh runs a
# server. Arguments: the folder of the binary, then the folders in which to try to create its own.
unset SCRIPT

finish() {
    [ -n "$dir" ] || return
    stop
    rm -rf "$dir"
}
start() {
    "$bin/pgbouncer" "$dir/pgbouncer.ini" </dev/null >>"$dir/log" 2>&1 &
    pid=$!
}
stop() {
    [ -n "$pid" ] || return 0
    kill -9 "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    pid=
}

trap '' PIPE
trap finish EXIT
trap exit HUP INT TERM
umask 077
bin=$1
pid=
shift
for base; do
    dir=$(mktemp -d "$base/pgq.XXXXXX") && break
done
[ -n "$dir" ] || exit 1
exec 2>>"$dir/log"
echo "$dir"
while read -r command; do
    case $command in
        start) start ;;
        stop) stop ;;
    esac
    echo ok
done
