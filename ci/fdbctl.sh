#!/usr/bin/env bash
# Stops and starts the FoundationDB processes that ci/fdb.sh made in $FDB_CTL_DIR:
#   fdbctl.sh pause|resume|kill|start [N]      all of them, or process N, from 1
# This is what FDB_SERVER_CTL names (internal/serverctl says what each word means). What
# a process is already, it stays.
set -euo pipefail
dir=${FDB_CTL_DIR:?says where the processes are}
what=${1:?pause, resume, kill or start} only=${2:-}

# born PID: when a process that is no zombie began, in the kernel's ticks; nothing else has
# this number and began then, whatever it executes by now. Fails if there is none. A killed
# server is a zombie before its last thread has ended, and until then has its port.
born() {
	local stat fields
	stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
	read -r -a fields <<<"${stat##*) }"
	{ [ "${fields[0]}" != Z ] || [ "${fields[17]}" -gt 1 ]; } && echo "${fields[19]}"
}

# alive DIR: whether the process of directory DIR runs. A dead one that nobody has waited
# for is dead, and so is one whose number another program has by now.
alive() {
	local pid when
	read -r pid when 2>/dev/null <"$1/pid" && [ -n "$when" ] && [ "$(born "$pid")" = "$when" ]
}

pid_of() { cut -d' ' -f1 "$1/pid"; }

# comes CONDITION...: waits until it holds, 10 seconds at least.
comes() { for _ in {1..1000}; do "$@" && return; sleep 0.01; done; return 1; }
dead() { ! alive "$1"; }
started() { dead "$1" || grep -qsF -- "$1/data" "/proc/$(pid_of "$1")/cmdline"; }

start() {
	# Each is a machine of its own: copies of one datum go to different machines. Its
	# memory is bounded for small machines, and it listens elsewhere than it is known at
	# if there is something between it and its clients. It inherits no open file: a lock
	# of whoever has called this is none of its own. One that is killed 70 times before it
	# has fully recovered would put its next recovery off by minutes, but for the knob.
	local n=${1##*-} port listen pid
	port=$(cat "$1/port") listen=$(cat "$1/listen" 2>/dev/null || cat "$1/port")
	(
		for fd in "/proc/$BASHPID/fd"/*; do [ "${fd##*/}" -le 2 ] || eval "exec ${fd##*/}>&-"; done
		exec setsid "${FDBSERVER:-fdbserver}" -p "127.0.0.1:$port" -l "127.0.0.1:$listen" -C "$dir/fdb.cluster" \
			-i "$(printf %016x "$n")" -d "$1/data" -L "$1" --cache-memory 256MiB \
			--knob_max_generations_override=10000
	) >>"$1/log" 2>&1 </dev/null &
	pid=$!
	echo "$pid $(born "$pid")" >"$1/pid"
	comes started "$1" && alive "$1" || { echo "process $n does not start:" >&2; tail -n 5 "$1/log" >&2; return 1; }
}

act() { # on the process of directory $1
	case $what in
	pause) ! alive "$1" || kill -STOP "$(pid_of "$1")" ;;
	resume) ! alive "$1" || kill -CONT "$(pid_of "$1")" ;;
	kill)
		! alive "$1" || kill -KILL "$(pid_of "$1")"
		comes dead "$1" || { echo "process $1 does not die" >&2; return 1; } ;;
	start) alive "$1" || start "$1" ;;
	*) echo "unknown: $what" >&2; return 2 ;;
	esac
}

found= failed=0
for process in "$dir"/process-*; do
	if [ -z "$only" ] || [ "$process" = "$dir/process-$only" ]; then
		found=yes
		act "$process" || failed=$?
	fi
done
[ -n "$found" ] || { echo "there is no process $only" >&2; exit 2; }
exit "$failed"
