#!/usr/bin/env bash
# Three hosts under load; one is killed and restarted, one is stopped for longer
# than its leases and continued, the store is killed and restarted. At the end
# every counter must be exact. Usage: run.sh [seconds of load]
# With FDB_CLUSTER_FILE the registry and the actors' state are in that FoundationDB.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-20}
dir=$(mktemp -d)
port=${ACTORHOST_PORT:-7700}
trap 'kill -9 "$store_pid" "${pid[@]}" ${load:-} 2>/dev/null || true; rm -rf "$dir"' EXIT

where=(--dir "$dir") tags=
if [ -n "${FDB_CLUSTER_FILE:-}" ]; then where=(--cluster-file "$FDB_CLUSTER_FILE" --prefix "actorhost-$$-$RANDOM") tags=fdb; fi
go build -tags "$tags" -o "$dir/actorhost" .
store=127.0.0.1:$port
nodes=127.0.0.1:$((port + 1)),127.0.0.1:$((port + 2)),127.0.0.1:$((port + 3))
start_store() { "$dir/actorhost" store --listen "$store" "${where[@]}" >>"$dir/store.log" 2>&1 & store_pid=$!; disown; }
start_node() { "$dir/actorhost" node --id "n$1" --listen "127.0.0.1:$((port + $1))" --store "$store" --think 5ms >>"$dir/n$1.log" 2>&1 & pid[$1]=$!; disown; }
declare -A pid
say() { printf '%3d s  %s\n' $((SECONDS)) "$*"; }

SECONDS=0
start_store
sleep 0.5
for i in 1 2 3; do start_node "$i"; done
sleep 0.5
say "store and three nodes are up, load begins"
timeout $((seconds + 60)) "$dir/actorhost" load --nodes "$nodes" --store "$store" --clients 8 --actors 5 --for "${seconds}s" &
load=$!

step=$((seconds / 4))
sleep "$step"; say "SIGSTOP n1 (for longer than its leases)"; kill -STOP "${pid[1]}"
sleep "$step"; say "kill -9 n2";                              kill -9 "${pid[2]}"
sleep 1;       say "SIGCONT n1: it wakes as a zombie";         kill -CONT "${pid[1]}"
say "n2 restarts under its old name";                         start_node 2
sleep "$step"; say "kill -9 the store, restart it";           kill -9 "$store_pid"; sleep 0.3; start_store
wait "$load"
say "stale writes refused by the fence: $(grep -c 'refused by the fence' "$dir/store.log" || true)"
say "leases lost, by cause:"
grep -h 'lease lost' "$dir"/n*.log | grep -o 'given up\|not renewed before its deadline\|registration is over\|fenced\|not held\|has run out' | sort | uniq -c || true
