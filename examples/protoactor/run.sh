#!/usr/bin/env bash
# Three members under load, in rounds: one is stopped for longer than its leases and
# continued, one is killed, one leaves in order; each is started again. At the end
# every counter must be exact, and no actor may have been active twice at once.
# Usage: run.sh [registry | disthash] [seconds of load]
# The store has the registry, memimpl on a file. With FDB_CLUSTER_FILE each member opens
# fdbimpl on that cluster itself, and the store keeps the actors' state there; with
# FDB_CLUSTER_FILE=fdbsim the store has fdbimpl on the stand-in.
set -euo pipefail
cd "$(dirname "$0")"
lookup=${1:-registry} seconds=${2:-40}
port=${PROTOACTOR_PORT:-7800}
dir=$(mktemp -d)
trap 'kill -9 "$store_pid" "${pid[@]}" ${load:-} 2>/dev/null || true; rm -rf "$dir"' EXIT

where=(--dir "$dir") direct=() tags=
case ${FDB_CLUSTER_FILE:-} in
'') ;;
fdbsim)
	tags=fdb,fdbsim where=(--cluster-file fdbsim)
	export CGO_ENABLED=1 CGO_CFLAGS="-I$PWD/../../fdbsim/include" CGO_LDFLAGS="-L$PWD/../../fdbsim/lib"
	;;
*) tags=fdb where=(--cluster-file "$FDB_CLUSTER_FILE" --prefix "protoactor-$$-$RANDOM") direct=("${where[@]}") ;;
esac
go build -tags "$tags" -o "$dir/protoactor" .
store=127.0.0.1:$port
peers=127.0.0.1:$((port + 11)),127.0.0.1:$((port + 12)),127.0.0.1:$((port + 13))
nodes=127.0.0.1:$((port + 1)),127.0.0.1:$((port + 2)),127.0.0.1:$((port + 3))
start() {
	"$dir/protoactor" node --lookup "$lookup" --store "$store" --listen "127.0.0.1:$((port + $1))" --peers "$peers" \
		--port $((port + 20 + $1)) --alive $((port + 10 + $1)) --think 5ms "${direct[@]}" >>"$dir/n$1.log" 2>&1 &
	pid[$1]=$!
	disown
}
declare -A pid
# A member that was marked failed, as on a busy machine, has ended by itself.
signal() { kill "-$1" "${pid[$2]}" 2>/dev/null || { say "n$2 had ended by itself: it starts again"; start "$2"; }; }
say() { printf '%3d s  %s\n' "$SECONDS" "$*"; }

"$dir/protoactor" store --listen "$store" "${where[@]}" >"$dir/store.log" 2>&1 & store_pid=$!; disown
sleep 0.5
for i in 1 2 3; do start "$i"; done
sleep 3
SECONDS=0
say "actors are placed by $lookup, the store is in ${FDB_CLUSTER_FILE:-files}; three members are up, load begins"
timeout $((seconds + 60)) "$dir/protoactor" load --nodes "$nodes" --store "$store" --for "${seconds}s" &
load=$!

while [ $((SECONDS + 18)) -le "$seconds" ]; do
	sleep 2; say "SIGSTOP n1, for longer than its leases";  signal STOP 1
	sleep 5; say "SIGCONT n1: it wakes";                    kill -CONT "${pid[1]}"
	sleep 2; say "kill -9 n1 and n2, and start them again"; kill -9 "${pid[1]}" "${pid[2]}" 2>/dev/null || true; start 1; start 2
	sleep 5; say "SIGTERM n3: it leaves in order";          signal TERM 3
	sleep 4; say "n3 starts again";                         kill -9 "${pid[3]}" 2>/dev/null || true; start 3
done
wait "$load"
