#!/usr/bin/env bash
# Starts FoundationDB on loopback from the installed packages and runs on it, one way
# after the other, or those that are named:
#   one        one process, ssd: all tests, those that stop the server too, and the suite
#   three      three processes, double ssd, of which one at a time is killed or
#              paused all the while: the suite's sections about one store
#   restarts   three processes that are all killed and started again all the while
# The reports are in report/fdb-*. Without fdbserver it says that no real cluster was
# used, and fails.
set -euo pipefail
cd "$(dirname "$0")/.."

FDBSERVER=$(command -v fdbserver || ls /usr/sbin/fdbserver 2>/dev/null || true)
if [ -z "$FDBSERVER" ] || ! command -v fdbcli >/dev/null; then
	echo "fdbserver and fdbcli are not installed: no real cluster was used" >&2
	exit 3
fi
export FDBSERVER
control=$PWD/ci/fdbctl.sh
sections=contract,membership,random,concurrent,fencing
calm=${FDB_CALM:-2} # the shortest time, in seconds, that a cluster is left alone
disturber=

stop() {
	[ -z "$disturber" ] || { kill "$disturber" 2>/dev/null || true; wait "$disturber" 2>/dev/null || true; }
	disturber=
	if [ -n "${FDB_CTL_DIR:-}" ]; then
		"$control" kill >/dev/null 2>&1 || true
		rm -rf "$FDB_CTL_DIR"
	fi
	unset FDB_CTL_DIR FDB_CLUSTER_FILE FDB_SERVER_CTL
}
trap stop EXIT

# cluster N MODE starts N processes with redundancy MODE.
cluster() {
	export FDB_CTL_DIR FDB_CLUSTER_FILE
	FDB_CTL_DIR=$(mktemp -d)
	FDB_CLUSTER_FILE=$FDB_CTL_DIR/fdb.cluster
	local port=${FDB_PORT:-4689} at=
	for n in $(seq "$1"); do
		mkdir -p "$FDB_CTL_DIR/process-$n/data"
		echo $((port + n - 1)) >"$FDB_CTL_DIR/process-$n/port"
		at=$at,127.0.0.1:$((port + n - 1))
	done
	echo "ci:ci@${at#,}" >"$FDB_CLUSTER_FILE"
	"$control" start
	fdbcli -C "$FDB_CLUSTER_FILE" --timeout 60 --exec "configure new $2 ssd"
}

# disturb COMMAND runs COMMAND again and again in the background until stop. A signal
# ends it between two runs, when all processes run.
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

conform() { go run -tags fdb ./cmd/conform run fdbimpl --cluster-file "$FDB_CLUSTER_FILE" "$@"; }

way_one() {
	cluster 1 single
	FDB_SERVER_CTL=$control make test-fdb
	conform --section "$sections" --report report/fdb-one
	FDB_SERVER_CTL=$control conform --section durable,faults --histories 3 --parallel 1 --report report/fdb-one-stopped
}

way_three() {
	cluster 3 double
	disturb one_at_a_time
	conform --section "$sections" --report report/fdb-three
	echo "disturbances: $(wc -l <"$FDB_CTL_DIR/disturbances")"
}

way_restarts() {
	cluster 3 double
	disturb all_at_once
	conform --section "$sections" --histories 20 --report report/fdb-restarts
	echo "disturbances: $(wc -l <"$FDB_CTL_DIR/disturbances")"
}

[ $# -gt 0 ] || set -- one three restarts
for way in "$@"; do
	case $way in
	one | three | restarts) echo "== $way" && "way_$way" && stop ;;
	*) echo "there is no way $way: one, three, restarts" >&2; exit 2 ;;
	esac
done
