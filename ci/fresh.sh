#!/usr/bin/env bash
# fresh.sh SUITE [root|sudo] [COMMAND...]: runs README's commands as a stranger does,
# on a minimal Debian or Ubuntu made for it (bookworm, trixie, noble, …), from a
# clean clone of HEAD. COMMAND is `make conform` by default. With sudo it is run by
# a user who may use sudo, else by root. Needs root, debootstrap and a mirror of the
# distribution (MIRROR; default debootstrap's own). Everything is in FRESH (default
# /tmp/fresh), and the system of a suite is made once and copied for each run.
set -euo pipefail
cd "$(dirname "$0")/.."
suite=$1 as=${2:-root}
shift; shift || true
[ $# -gt 0 ] || set -- make conform
fresh=${FRESH:-/tmp/fresh}
base=$fresh/$suite.base root=$fresh/$suite.$as
mkdir -p "$fresh"

if [ ! -e "$base/done" ]; then
	rm -rf "$base"
	# What a person has who has just cloned a repository.
	debootstrap --variant=minbase --include=git,make,ca-certificates,sudo,adduser "$suite" "$base" ${MIRROR:+"$MIRROR"} >"$fresh/$suite.log" ||
		{ tail "$fresh/$suite.log" >&2; exit 1; }
	[ "$suite" != noble ] || sed -i 's/ main$/ main universe/' "$base/etc/apt/sources.list"
	# The certificates that this machine's administrator has added, if any.
	cp -r /usr/local/share/ca-certificates/. "$base/usr/local/share/ca-certificates/"
	chroot "$base" update-ca-certificates >/dev/null 2>&1
	chroot "$base" adduser --disabled-password --gecos '' stranger >/dev/null 2>&1
	echo 'stranger ALL=(ALL) NOPASSWD: ALL' >"$base/etc/sudoers.d/stranger"
	touch "$base/done"
fi
rm -rf "$root"
cp -a "$base" "$root"
cp /etc/resolv.conf /etc/hosts "$root/etc/"
user=root home=$root/root
[ "$as" = root ] || user=stranger home=$root/home/stranger
git clone -q --no-hardlinks . "$home/registry"
[ "$as" = root ] || chroot "$root" chown -R stranger: /home/stranger/registry

# The mounts end with the namespace. Nothing of this environment comes along.
started=$(date +%s) code=0
# shellcheck disable=SC2016
unshare --mount --fork bash -c '
	mount -t proc proc "$1/proc"
	mount --rbind /dev "$1/dev"
	root=$1 user=$2; shift 2
	exec chroot "$root" env -i TERM=dumb PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		su - "$user" -c "$(printf "%q " cd registry) && $(printf "%q " "$@")"
' - "$root" "$user" "$@" || code=$?
echo "$suite as $as: $* ended with $code after $(($(date +%s) - started)) s"
rm -rf "$root"
exit $code
