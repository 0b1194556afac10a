#!/usr/bin/env bash
# install.sh [build|all]: brings what the Makefile needs and this machine lacks.
#
#   build  a C compiler and Go: what make conform needs
#   all    and a JDK, Maven (TLC), z3 (proofs), git and Python (tests): what make test needs
#
# It says what it will do before it does it. Packages come from apt-get, so on
# Debian and Ubuntu only; elsewhere it says what is missing. When the system's Go
# is older than go.mod asks for, it fetches a pinned one through the Go module
# proxy into .cache/go, which the Makefile puts in front of PATH. On a machine
# that has everything it does nothing and prints nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

# One at a time: make --jobs starts several, and each installs for all.
if command -v flock >/dev/null; then
	mkdir -p .cache
	exec 9>.cache/install.lock
	flock 9
fi

# The toolchain, as the module that Go itself downloads one as. To move on, set the
# version and the sums that `go mod download -json golang.org/toolchain@…` prints.
toolchain=1.26.8
declare -A sums=(
	[amd64]=h1:ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM=
	[arm64]=h1:sYL/O6MqS68ML0kjsQ36WoYIpJqkw60TxizWUYUKQMc=
)

what=${1:-all}
have() { command -v "$1" >/dev/null 2>&1; }
compiles() { echo '#include <stdlib.h>' | gcc -fsyntax-only -x c - >/dev/null 2>&1; }

# new_enough GO: whether that go command is as new as go.mod asks for. Outside of
# the module, or an older go would refuse to start, and a newer one fetch another.
new_enough() {
	local want is
	want=$(awk '$1 == "go" { print $2 }' go.mod)
	is=$(cd / && GOTOOLCHAIN=local "$1" version 2>/dev/null | sed -E 's/^go version go([0-9.]+).*/\1/')
	[ -n "$is" ] && [ "$(printf '%s\n' "$want" "$is" | sort -V | head -n 1)" = "$want" ]
}

packages=()
compiles || packages+=(gcc libc6-dev)
have ar || packages+=(binutils)
have go || packages+=(golang-go)
if [ "$what" = all ]; then
	have java && have javac || packages+=(default-jdk-headless) # conform spec is slow without the compiler
	have mvn || packages+=(maven)
	have z3 || [ -n "${Z3:-}" ] || packages+=(z3)
	have git || packages+=(git)
	have python3 || packages+=(python3)
fi
[ -e /etc/ssl/certs/ca-certificates.crt ] || [ -n "${SSL_CERT_FILE:-}" ] || ! have apt-get || packages+=(ca-certificates)

if [ ${#packages[@]} -gt 0 ]; then
	if ! have apt-get; then
		echo "missing: ${packages[*]} (Debian's names); install them with your system's package manager" >&2
		exit 1
	fi
	as_root=()
	if [ "$(id -u)" != 0 ]; then
		have sudo || { echo "missing; install as root: apt-get install ${packages[*]}" >&2; exit 1; }
		as_root=(sudo)
	fi
	echo "To be installed on this system, with ${as_root[*]:+sudo }apt-get: ${packages[*]}"
	"${as_root[@]}" apt-get update -qq
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi

# A go in .cache was fetched here and is asked before the system's.
if new_enough "$PWD/.cache/go/bin/go" || new_enough go; then
	exit 0
fi
arch=$(cd / && GOTOOLCHAIN=local go env GOARCH)
if [ "$(uname -s)" != Linux ] || [ -z "${sums[$arch]:-}" ]; then
	echo "$(cd / && GOTOOLCHAIN=local go version) is too old; install Go $toolchain" >&2
	exit 1
fi
echo "This system's Go, $(cd / && GOTOOLCHAIN=local go env GOVERSION), is too old: fetching Go $toolchain into .cache/go (70 MB, 250 MB unpacked); nothing else is changed"
work=$PWD/.cache/fetch
rm -rf "$work" .cache/go
mkdir -p "$work"
trap 'rm -rf "$work"' EXIT
got=$(cd / && GO111MODULE=on GOTOOLCHAIN=local GOWORK=off GOFLAGS=-modcacherw GOMODCACHE="$work/mod" \
	go mod download -json "golang.org/toolchain@v0.0.1-go$toolchain.linux-$arch")
if ! grep -qF "\"Sum\": \"${sums[$arch]}\"" <<<"$got"; then
	echo "Go $toolchain is not what ci/install.sh expects (${sums[$arch]}): $got" >&2
	exit 1
fi
mv "$work/mod/golang.org/toolchain@v0.0.1-go$toolchain.linux-$arch" .cache/go
chmod -R u+w .cache/go
chmod +x .cache/go/bin/* .cache/go/pkg/tool/*/*
new_enough "$PWD/.cache/go/bin/go" || { echo "the fetched Go does not run: .cache/go/bin/go version" >&2; exit 1; }
