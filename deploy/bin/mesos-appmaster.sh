#!/usr/bin/env bash
# Starts a Flink session cluster on Mesos and stays in the foreground:
#   mesos-appmaster.sh -Dmesos.master=host:5050 [-Dkey=value ...]
#
# FLINK_HOME       Flink's directory; default: the newest that deploy/install/flink.sh brought
# FLINK_CONF_DIR   the directory with config.yaml or flink-conf.yaml; default: conf in FLINK_HOME
# FLINK_LOG_DIR    where logs go; default: log in drey.state.dir
# JAVA_HOME        where Java is looked for after env.java.home and before PATH
set -euo pipefail

fail() {
  echo "mesos-appmaster.sh: $*" >&2
  exit 1
}

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.." && pwd)

node=$root/node_modules/.bin/node
if [ ! -x "$node" ]; then
  node=$(command -v node) || fail "node was not found; run deploy/install/all in $root, or install Node 22.19 or newer"
  "$node" -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 22 || (a === 22 && b >= 19) ? 0 : 1)' ||
    fail "$node is $("$node" --version); run deploy/install/all in $root, or install Node 22.19 or newer"
  [ -d "$root/node_modules" ] || fail "there are no npm packages in $root; run deploy/install/all there"
fi

if [ -z "${FLINK_HOME:-}" ]; then
  # Names of three numbers only: a Flink that is being installed has one more part. No .drey is no error.
  FLINK_HOME=$(find "$root/.drey" -maxdepth 1 -type d -regextype posix-extended \
    -regex '.*/flink-[0-9]+\.[0-9]+\.[0-9]+' 2>/dev/null | sort -V | tail -n 1) || true
  [ -n "$FLINK_HOME" ] || fail "FLINK_HOME is not set; name Flink's directory, or run deploy/install/flink.sh 2.3.0"
  export FLINK_HOME
fi

exec "$node" "$root/deploy/appmaster/main.ts" "$@"
