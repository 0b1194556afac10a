#!/usr/bin/env bash
# Starts FoundationDB on loopback from the installed packages and runs on it, one way
# after the other, or those that are named:
#   one        all tests, those that stop the server too, and the suite: its parts at the
#              same time, each on a cluster of one process, ssd, of its own, because most
#              of each is waiting. Each part is a way by itself too:
#     tests      tests of fdbimpl, fdbsim and keeper, with control
#     observed   the observations of the client and the server, with control
#     suite      the suite, without
#     stopped    the suite's sections that stop the server, but
#     crashed    the one that stops it for most of the time
#     forgets    the section purge of a registry that forgets, with control
#   raced      the suite in short under the race detector, with control
#   line       one process that is reached through a proxy, which is cut again and again
#   three      three processes, double ssd, of which one at a time is killed or
#              paused all the while: the suite's sections about one store, the keeper's
#              guarantees, and the actor host, whose counters must be exact
#   restarts   three processes that are all killed and started again all the while
# The reports are in report/fdb-*. Without fdbserver it says that no real cluster was
# used, and fails.
#
# It needs no rights and no service: a FoundationDB that the packages have started goes
# on undisturbed, as these processes have ports, a cluster file and directories of their own.
#   FDB_PORT   the first port; by default the first of 4689, 4789, … behind which all are free
#   FDB_DIR    where the processes' directories are made; .cache by default, on a disk
#   FDB_PARALLEL  cases judged at the same time, 8 by default: most of a case is waiting
set -euo pipefail
cd "$(dirname "$0")/.."

found() { command -v "$1" || { [ -x "/usr/sbin/$1" ] && echo "/usr/sbin/$1"; } || true; }
FDBSERVER=$(found fdbserver) fdbcli=$(found fdbcli)
if [ -z "$FDBSERVER" ] || [ -z "$fdbcli" ]; then
	echo "fdbserver and fdbcli are not installed: no real cluster was used" >&2
	exit 3
fi
export FDBSERVER
control=$PWD/ci/fdbctl.sh
sections=contract,membership,random,concurrent,fencing # what a cluster in trouble is judged by
stopping=handles,faults,purge # the sections with cases that stop the server,
crashing=durable              # and the one that does little else
calm=${FDB_CALM:-2}          # the shortest time, in seconds, that a cluster is left alone
patience=${FDB_PATIENCE:-60} # how long, in seconds, a cluster may take to serve
hosts=${FDB_HOSTS:-40}       # how long, in seconds, the actor host has load
parallel=${FDB_PARALLEL:-8}
apart=50                     # a process that a proxy is before listens so many ports higher
disturber=
parts=() # the processes of ways that run at the same time
unset FDB_CTL_DIR FDB_CLUSTER_FILE FDB_SERVER_CTL FDB_SERVER_LINE # a caller's are not this script's to end

# stop ends what is running, and leaves nothing behind but the reports. Whatever ends
# this script calls it.
stop() {
	[ -z "$disturber" ] || { kill "$disturber" 2>/dev/null || true; wait "$disturber" 2>/dev/null || true; }
	disturber=
	for part in "${parts[@]}"; do kill -- "-$part" 2>/dev/null && wait "$part" || true; done
	parts=()
	if [ -n "${FDB_CTL_DIR:-}" ]; then
		"$control" kill || true
		rm -rf "$FDB_CTL_DIR"
	fi
	unset FDB_CTL_DIR FDB_CLUSTER_FILE FDB_SERVER_CTL FDB_SERVER_LINE
}
trap 'trap "" INT TERM HUP; stop' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# free PORT: whether nobody listens there.
free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

all_free() { for n in 0 1 2 "$apart"; do free $(($1 + n)) || return 1; done; }

# first_port [FROM]: FDB_PORT, or the first of a hundred from FROM on behind which all are free.
first_port() {
	if [ -n "${FDB_PORT:-}" ] && [ $# = 0 ]; then
		all_free "$FDB_PORT" || { echo "FDB_PORT is $FDB_PORT, and one of the ports from there is taken" >&2; return 1; }
		echo "$FDB_PORT"
		return
	fi
	for port in $(seq "${1:-4689}" 100 "$((${1:-4689} + 5000))"); do
		if all_free "$port"; then echo "$port" && return; fi
	done
	echo "no ports are free; FDB_PORT names others" >&2
	return 1
}

# cluster N MODE starts N processes with redundancy MODE, and returns when they serve.
cluster() {
	export FDB_CTL_DIR FDB_CLUSTER_FILE
	local at= port parent=${FDB_DIR:-$PWD/.cache}
	port=$(first_port)
	mkdir -p "$parent"
	FDB_CTL_DIR=$(mktemp -d "$parent/fdb.XXXXXX")
	FDB_CLUSTER_FILE=$FDB_CTL_DIR/fdb.cluster
	for n in $(seq "$1"); do
		mkdir -p "$FDB_CTL_DIR/process-$n/data"
		echo $((port + n - 1)) >"$FDB_CTL_DIR/process-$n/port"
		at=$at,127.0.0.1:$((port + n - 1))
	done
	echo "ci:ci@${at#,}" >"$FDB_CLUSTER_FILE"
	"$control" start
	cli "configure new $2 ssd" || { explain "it takes no configuration"; return 1; }
	serves || { explain "it does not serve"; return 1; }
}

cli() { "$fdbcli" -C "$FDB_CLUSTER_FILE" --timeout "$patience" --exec "$1"; }

serves() {
	local until=$((SECONDS + patience))
	while [ "$SECONDS" -lt "$until" ]; do
		cli "status minimal" | grep "is available" >/dev/null && return
		sleep 0.2
	done
	return 1
}

# explain tells what the processes have said of a cluster that does not come up.
explain() {
	echo "the cluster of $FDB_CLUSTER_FILE: $1" >&2
	for p in "$FDB_CTL_DIR"/process-*; do
		{ tail -n 5 "$p/log"; grep -hs 'Severity="40"' "$p"/trace.*.xml | tail -n 3; } >&2 || true
	done
}

# disturb COMMAND runs COMMAND again and again in the background until stop, which
# starts nothing again: it kills what a signal has left stopped.
disturb() { (trap 'exit 0' TERM; while true; do "$@"; done) & disturber=$!; }

# A process of three: killed or paused for up to twice the calm, with a rest of up to
# three times the calm before. Never two at a time: double keeps two copies.
one_at_a_time() {
	sleep $((calm + RANDOM % (2 * calm + 1)))
	local n=$((1 + RANDOM % 3)) still=$((RANDOM % (2 * calm + 1)))
	if [ $((RANDOM % 2)) = 0 ]; then
		echo "$(date +%T) kill $n" >>"$FDB_CTL_DIR/disturbances"
		"$control" kill "$n"; sleep "$still"; "$control" start "$n"
	else
		echo "$(date +%T) pause $n" >>"$FDB_CTL_DIR/disturbances"
		"$control" pause "$n"; sleep "$still"; "$control" resume "$n"
	fi
}

all_at_once() {
	sleep $((3 * calm + RANDOM % (3 * calm + 1)))
	echo "$(date +%T) kill all" >>"$FDB_CTL_DIR/disturbances"
	"$control" kill; "$control" start
}

conform() { judge fdbimpl "$@"; }
judge() { go run -tags fdb ./cmd/conform run "$1" --cluster-file "$FDB_CLUSTER_FILE" --parallel "$parallel" "${@:2}"; }

way_one() { at_once observed suite crashed stopped tests forgets; }

# at_once WAY...: each in a process group of its own, so that a signal to it reaches what
# it runs, and each line that it says with its name before. One that fails does not end
# the others.
at_once() {
	local way port failed=
	port=$(first_port)
	for way; do
		set -m
		FDB_PORT=$port ci/fdb.sh "$way" > >(trap "" INT TERM HUP; exec sed -u "s/^/$way: /") 2>&1 &
		parts+=($!)
		set +m
		port=$(first_port "$((port + 100))")
	done
	for part in "${parts[@]}"; do wait "$part" || failed=yes; done
	parts=()
	[ -z "$failed" ]
}

way_tests() {
	cluster 1 single
	FDB_SERVER_CTL=$control make test-fdb FDB_PKGS="$(go list -tags fdb ./fdbimpl/... ./fdbsim/... | grep -vE '/(fdbtest|fidelity)$' | tr '\n' ' ')"
}

way_observed() { tested ./fdbsim/fidelity; }
way_raced() { tested ./fdbimpl/fdbtest; }

# tested PACKAGES: their tests on a cluster of their own, with control.
tested() {
	cluster 1 single
	FDB_SERVER_CTL=$control go test -p 1 -race -timeout 30m -tags fdb -count 1 "$@"
}

way_suite() {
	cluster 1 single
	conform --report report/fdb-one
}

way_stopped() { controlled fdbimpl "$stopping" report/fdb-one-stopped; }
way_crashed() { controlled fdbimpl "$crashing" report/fdb-one-crashed; }
way_forgets() { controlled fdbimpl-forgets purge report/fdb-one-forgets; }

# controlled BACKEND SECTIONS REPORT: one case at a time, because the server is stopped.
controlled() {
	cluster 1 single
	FDB_SERVER_CTL=$control judge "$1" --section "$2" --histories 3 --parallel 1 --report "$3"
}

# The process is started anew behind a port that only the proxy of the test goes to.
way_line() {
	cluster 1 single
	local port
	port=$(cat "$FDB_CTL_DIR/process-1/port")
	"$control" kill
	echo $((port + apart)) >"$FDB_CTL_DIR/process-1/listen"
	"$control" start
	FDB_SERVER_LINE=127.0.0.1:$port=127.0.0.1:$((port + apart)) \
		go test -tags fdb -count 1 -v -run 'TestWeather/a_partition' ./fdbimpl
}

way_three() {
	cluster 3 double
	disturb one_at_a_time
	conform --section "$sections" --report report/fdb-three
	go test -tags fdb -count 1 -v -run TestRealTimeOnFoundationDB ./keeper
	examples/actorhost/run.sh "$hosts"
	examples/protoactor/run.sh registry "$hosts"
	echo "disturbances: $(wc -l <"$FDB_CTL_DIR/disturbances")"
}

way_restarts() {
	cluster 3 double
	disturb all_at_once
	conform --section "$sections" --histories 20 --report report/fdb-restarts
	echo "disturbances: $(wc -l <"$FDB_CTL_DIR/disturbances")"
}

[ $# -gt 0 ] || set -- one raced line three restarts
for way in "$@"; do
	case $way in
	one | tests | observed | suite | stopped | crashed | forgets | raced | line | three | restarts) ;;
	*) echo "there is no way $way: one, tests, observed, suite, stopped, crashed, forgets, raced, line, three, restarts" >&2; exit 2 ;;
	esac
done
version=$("$FDBSERVER" --version) # whole, for a server whose reader goes away fails
echo "${version%%$'\n'*}"
for way in "$@"; do
	echo "== $way"
	began=$SECONDS
	"way_$way"
	stop
	echo "== $way took $((SECONDS - began)) s"
done
