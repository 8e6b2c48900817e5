#!/bin/sh
# Runs a private PostgreSQL server on behalf of the process that holds the other end of the standard input.
# Arguments: the folder of the server's binaries, then the folders in which to try to create the server's own.
#
# Every command is answered with one line and done before the next is read, so that the end of the input never
# meets a half started server. An answer that nobody reads any more must not end the script: SIGPIPE is ignored.
unset SCRIPT

finish() {
    [ -n "$dir" ] || return
    stop QUIT
    rm -rf "$dir" || { sleep 1; rm -rf "$dir"; }
}
init() {
    for locale in C.UTF-8 C; do
        rm -rf "$dir/data"
        "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale="$locale" --wal-segsize=1 --no-sync && return
    done
}
copy() {
    cp -R "$1" "$dir/data"
}
follow() {
    copy "$1" && : >"$dir/data/standby.signal"
}
start() {
    rm -f "$dir/exited"
    ("$bin/postgres" -D "$dir/data"; : >"$dir/exited") </dev/null >>"$dir/log" 2>&1 &
}
# A server that is about to start has no file with its process id yet.
stop() {
    until [ -e "$dir/exited" ]; do
        pid=$(head -n 1 "$dir/data/postmaster.pid")
        [ -z "$pid" ] || kill -s "$1" "$pid"
        sleep 0.02
    done
    wait
}
restart() {
    stop QUIT && start
}
answer() {
    "$@" </dev/null >>"$dir/log" 2>&1 && echo ok || echo failed
}

trap '' PIPE
trap finish EXIT
trap exit HUP INT TERM
umask 077
bin=$1
shift
for base; do
    dir=$(mktemp -d "$base/pgq.XXXXXX") && break
done
[ -n "$dir" ] || exit 1
: >"$dir/exited"
exec 2>>"$dir/log"
echo "$dir"
while read -r command; do
    case $command in
        init) answer init ;;
        "copy "*) answer copy "${command#copy }" ;;
        "follow "*) answer follow "${command#follow }" ;;
        start) answer start ;;
        stop) answer stop INT ;;
        restart) answer restart ;;
    esac
done
