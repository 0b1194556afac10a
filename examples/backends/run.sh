#!/bin/sh
# Judges the example registries on real stores: installs the servers from the
# system's packages where they are missing, runs the tests, which start and kill
# them on loopback, and ends with a table. Arguments are passed to go test, for
# example: ./run.sh ./redis
set -eu
cd "$(dirname "$0")"

have() { command -v "$1" >/dev/null 2>&1; }
missing=""
have redis-server || missing="$missing redis-server"
have etcd || missing="$missing etcd-server"
have postgres || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$missing postgresql"
have nats-server || missing="$missing nats-server"
[ -f /usr/share/java/zookeeper.jar ] || missing="$missing zookeeper"
if [ -n "$missing" ]; then
	have apt-get || { echo "there is no apt-get; install:$missing" >&2; exit 2; }
	as_root=""
	if [ "$(id -u)" != 0 ]; then
		have sudo || { echo "only root can install:$missing" >&2; exit 2; }
		as_root=sudo
	fi
	echo "installing$missing"
	# The packages' own services are not started. The lists of a fresh system are empty.
	# shellcheck disable=SC2086
	install() { $as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $missing >/dev/null; }
	install || { $as_root apt-get update >/dev/null && install; }
fi

# What is judged is not the disk: in memory, where that can be had, a write's fsync
# costs nothing. A killed server loses what it had not yet written all the same.
base=/dev/shm
[ -d "$base" ] && [ -w "$base" ] || base=${TMPDIR:-/tmp}
work=$(mktemp -d "$base/backends.XXXXXX")
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

[ $# -gt 0 ] || set -- ./...
started=$(date +%s)
# One store at a time: the times are its own.
GOTMPDIR=${TMPDIR:-/tmp} TMPDIR=$work STORETEST_TABLE=$work/table \
	go test -p 1 -count=1 -timeout 60m -v "$@" >"$work/log" 2>&1 && status=0 || status=$?

if grep -q 'not judged:' "$work/log"; then
	grep -B 1 'not judged:' "$work/log"
	status=1
elif [ "$status" != 0 ]; then
	cat "$work/log"
fi
[ ! -f "$work/table" ] || awk -F '\t' '
	BEGIN { print row("store", "test", "verdict", "cases", "skipped", "histories", "operations", "time") }
	{ print row($1, $2, $3, $4, $5, $6, $7, $8) }
	function row(a, b, c, d, e, f, g, h) { return sprintf("%-33s %-33s %-18s %5s %7s %9s %10s %8s", a, b, c, d, e, f, g, h) }' "$work/table"
echo "$(($(date +%s) - started)) s in all; exit status $status"
exit "$status"
