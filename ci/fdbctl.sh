#!/usr/bin/env bash
# Stops and starts the FoundationDB processes that ci/fdb.sh made in $FDB_CTL_DIR:
#   fdbctl.sh pause|resume|kill|start [N]      all of them, or process N, from 1
# This is what FDB_SERVER_CTL names (internal/serverctl says what each word means).
set -euo pipefail
dir=${FDB_CTL_DIR:?says where the processes are}
what=${1:?pause, resume, kill or start} only=${2:-}

alive() { # a dead process that nobody has waited for is dead
	local pid
	pid=$(cat "$1/pid" 2>/dev/null) && kill -0 "$pid" 2>/dev/null &&
		! grep -qs '^State:.*zombie' "/proc/$pid/status"
}

act() { # on the process of directory $1
	case $what in
	pause) kill -STOP "$(cat "$1/pid")" ;;
	resume) kill -CONT "$(cat "$1/pid")" ;;
	kill)
		kill -KILL "$(cat "$1/pid")"
		for _ in {1..500}; do alive "$1" || return 0; sleep 0.01; done
		echo "process $1 does not die" >&2; return 1 ;;
	start)
		alive "$1" && return 0
		setsid "${FDBSERVER:-fdbserver}" -p "127.0.0.1:$(cat "$1/port")" -C "$dir/fdb.cluster" \
			-d "$1/data" -L "$1" >>"$1/log" 2>&1 </dev/null &
		echo $! >"$1/pid" ;;
	*) echo "unknown: $what" >&2; return 2 ;;
	esac
}

found=
for process in "$dir"/process-*; do
	if [ -z "$only" ] || [ "$process" = "$dir/process-$only" ]; then
		found=yes
		act "$process"
	fi
done
[ -n "$found" ] || { echo "there is no process $only" >&2; exit 2; }
