#!/usr/bin/env bash
# Starts a single-process FoundationDB on loopback from the installed packages,
# runs `make test-fdb` and the suite on it, and stops it. Without fdbserver it
# says that no real cluster was used, and fails.
set -euo pipefail
cd "$(dirname "$0")/.."

server=$(command -v fdbserver || ls /usr/sbin/fdbserver 2>/dev/null || true)
if [ -z "$server" ] || ! command -v fdbcli >/dev/null; then
	echo "fdbserver and fdbcli are not installed: no real cluster was used" >&2
	exit 3
fi
dir=$(mktemp -d)
port=${FDB_PORT:-4689}
echo "ci:ci@127.0.0.1:$port" >"$dir/fdb.cluster"
"$server" -p "127.0.0.1:$port" -C "$dir/fdb.cluster" -d "$dir/data" -L "$dir" >"$dir/server.log" 2>&1 &
trap 'kill %1 2>/dev/null || true; wait || true; rm -rf "$dir"' EXIT
fdbcli -C "$dir/fdb.cluster" --timeout 60 --exec 'configure new single memory'
export FDB_CLUSTER_FILE=$dir/fdb.cluster
make test-fdb
go run -tags fdb ./cmd/conform run fdbimpl --cluster-file "$FDB_CLUSTER_FILE"
