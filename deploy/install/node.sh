#!/usr/bin/env bash
# Brings the pinned npm packages (Node 24 among them) into node_modules, only when the lock file asks for it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

fail() { echo "install: $*" >&2; exit 1; }
command -v node >/dev/null || fail "node is not on the PATH; install Node 20 or newer"
command -v npm >/dev/null || fail "npm is not on the PATH; install it beside Node 20 or newer"
major=$(node -p 'process.versions.node.split(".")[0]')
[ "$major" -ge 20 ] || fail "node is $(node --version); install Node 20 or newer"

# What is installed is listed by npm in node_modules/.package-lock.json; compared are names and versions.
agrees() {
  [ -x node_modules/.bin/node ] && [ -f node_modules/.package-lock.json ] && node -e '
    const { readFileSync } = require("node:fs");
    const packages = (file) => JSON.parse(readFileSync(file, "utf8")).packages;
    const installed = packages("node_modules/.package-lock.json");
    const wanted = Object.entries(packages("package-lock.json")).filter(([path]) => path !== "");
    const missing = wanted.filter(
      ([path, entry]) =>
        !(entry.optional && !installed[path]) && installed[path]?.version !== entry.version,
    );
    process.exit(missing.length === 0 ? 0 : 1);'
}

mkdir -p .drey
exec 9>.drey/npm.lock
flock 9
if agrees; then exit 0; fi
echo "install: npm packages of package-lock.json"
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
agrees || fail "npm ci did not bring node_modules/.bin/node; is this linux on x64 or arm64?"
