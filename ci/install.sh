#!/usr/bin/env bash
# Installs what the Makefile needs and this machine lacks: a C compiler (race
# detector, cgo), Java and Maven (TLC), z3 (proofs), Go. Debian and Ubuntu only; elsewhere it
# says what is missing. Does nothing on a machine that has everything.
set -euo pipefail

missing=()
have() { command -v "$1" >/dev/null 2>&1; }
have gcc || missing+=(gcc libc6-dev)
have ar || missing+=(binutils)
have java || missing+=(default-jre-headless)
have mvn || missing+=(maven)
have z3 || [ -n "${Z3:-}" ] || missing+=(z3)
have git || missing+=(git)
have python3 || missing+=(python3)

# Any Go from 1.21 on fetches the toolchain that go.mod names by itself.
go_ok() { have go && go version | awk '{ split(substr($3, 3), v, "."); exit !(v[1] > 1 || v[2] >= 21) }'; }
go_ok || missing+=(golang-go)

if [ ${#missing[@]} -gt 0 ]; then
	if ! have apt-get; then
		echo "missing: ${missing[*]}; install them with your system's package manager" >&2
		exit 1
	fi
	sudo=""
	[ "$(id -u)" = 0 ] || sudo=sudo
	$sudo apt-get update -qq
	DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends ca-certificates "${missing[@]}"
fi

if ! go_ok; then
	echo "Go 1.21 or later is needed and this system's package is older: $(go version 2>/dev/null || echo none)" >&2
	exit 1
fi
