#!/bin/sh
# Judges the example registries on real stores: installs the servers from the
# system's packages where they are missing, starts each on loopback with its data
# in a temporary directory, runs the tests, stops and removes everything.
# Arguments are passed to go test, for example: ./run.sh ./redis
set -eu
cd "$(dirname "$0")"

# What is judged is not the disk: in memory where that can be had, each write's
# fsync costs nothing.
base=/dev/shm
[ -d "$base" ] && [ -w "$base" ] || base=${TMPDIR:-/tmp}
work=$(mktemp -d "$base/backends.XXXXXX")
chmod 755 "$work"
pids=""
cleanup() {
	for pid in $pids; do kill "$pid" 2>/dev/null || true; done
	for pid in $pids; do wait "$pid" 2>/dev/null || true; done
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

have() { command -v "$1" >/dev/null 2>&1; }
pg_bin() { ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1; }

missing=""
have redis-server || missing="$missing redis-server"
have etcd || missing="$missing etcd-server"
[ -x "$(pg_bin)/postgres" ] || missing="$missing postgresql"
if [ -n "$missing" ]; then
	echo "installing$missing"
	# The packages' own services are not started.
	export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
	# shellcheck disable=SC2086
	apt-get install -y --no-install-recommends $missing >"$work/apt.log" 2>&1 || { cat "$work/apt.log"; exit 1; }
fi

# free_ports prints N ports that nobody listened on just now.
free_ports() {
	python3 -c '
import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in held: s.bind(("127.0.0.1", 0))
print(*[s.getsockname()[1] for s in held])' "$1"
}
# shellcheck disable=SC2046
set_ports() { set -- $(free_ports 4); redis_port=$1 pg_port=$2 etcd_port=$3 etcd_peer=$4; }
set_ports

# until_up NAME LOG COMMAND... waits until the command succeeds.
until_up() {
	name=$1 log=$2
	shift 2
	for _ in $(seq 150); do
		if "$@" >/dev/null 2>&1; then return 0; fi
		sleep 0.2
	done
	echo "$name did not come up:"; cat "$log"; exit 1
}

mkdir "$work/redis"
redis-server --bind 127.0.0.1 --port "$redis_port" --dir "$work/redis" --save "" \
	--appendonly yes --appendfsync always --daemonize no >"$work/redis.log" 2>&1 &
pids="$pids $!"

# PostgreSQL refuses to run as root.
as_postgres() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }
mkdir "$work/pg"
[ "$(id -u)" != 0 ] || chown postgres "$work/pg"
as_postgres "$(pg_bin)/initdb" -D "$work/pg/data" -U postgres -A trust -E UTF8 --locale=C >"$work/initdb.log" 2>&1 || { cat "$work/initdb.log"; exit 1; }
as_postgres "$(pg_bin)/postgres" -D "$work/pg/data" -h 127.0.0.1 -p "$pg_port" -k "$work/pg" -c max_connections=100 >"$work/pg.log" 2>&1 &
pids="$pids $!"

etcd --name judged --data-dir "$work/etcd" \
	--listen-client-urls "http://127.0.0.1:$etcd_port" --advertise-client-urls "http://127.0.0.1:$etcd_port" \
	--listen-peer-urls "http://127.0.0.1:$etcd_peer" --initial-advertise-peer-urls "http://127.0.0.1:$etcd_peer" \
	--initial-cluster "judged=http://127.0.0.1:$etcd_peer" >"$work/etcd.log" 2>&1 &
pids="$pids $!"

until_up redis "$work/redis.log" redis-cli -p "$redis_port" ping
until_up postgres "$work/pg.log" "$(pg_bin)/pg_isready" -h 127.0.0.1 -p "$pg_port"
until_up etcd "$work/etcd.log" python3 -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:$etcd_port/health')"

export BACKENDS_REDIS="127.0.0.1:$redis_port"
export BACKENDS_POSTGRES="postgres://postgres@127.0.0.1:$pg_port/postgres?pool_max_conns=40"
export BACKENDS_ETCD="http://127.0.0.1:$etcd_port"

[ $# -gt 0 ] || set -- ./...
go test -count=1 -timeout 30m -v "$@" >"$work/test.log" 2>&1 && status=0 || status=$?
if [ "$status" != 0 ]; then cat "$work/test.log"; exit "$status"; fi
grep -E '^(ok|---)|^    --- ' "$work/test.log"
if grep -q 'BACKENDS_[A-Z]* is not set' "$work/test.log"; then
	echo "a store was not judged"
	exit 1
fi
