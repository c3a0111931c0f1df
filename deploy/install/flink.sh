#!/usr/bin/env bash
# Brings one Flink and the driver built for it: deploy/install/flink.sh <version> [dir]
#
# <dir> (default .drey/flink-<version> below the repository) becomes a Flink home: lib/ with Flink's
# jars and the driver, examples/, conf/, class-archive/ (what makes its JVMs start faster). Every jar
# is held to flink-<version>.sha256, those in the driver to flink-driver.sha256. A second run finds
# everything in place and does nothing; several runs at once wait for each other.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
sources=$root/deploy/flink

fail() {
  echo "flink: $*" >&2
  exit 1
}

# The examples were not published for each patch release.
version=${1:-}
case $version in
  2.3.0) examples=2.3.0 ;;
  1.20.5) examples=1.20.0 ;;
  *) fail "usage: deploy/install/flink.sh 2.3.0|1.20.5 [dir]" ;;
esac
home=$(realpath -m "${2:-$root/.drey/flink-$version}")
sums=$here/flink-$version.sha256

hash_of() {
  cat "$@" | sha256sum | cut -d ' ' -f 1
}

home_stamp=$(hash_of "$sums" "$here/flink-home.pom.xml")
driver_stamp=$(cd "$sources" && find pom.xml src -type f | LC_ALL=C sort | xargs sha256sum |
  cat - <(echo "$version") | sha256sum | cut -d ' ' -f 1)

# Archives hold for Flink's jars (the driver comes behind them), the layout in a sandbox and the very Java that they were made with.
java=$(readlink -f "${JAVA_HOME:+$JAVA_HOME/bin/java}" || readlink -f "$(command -v java)" || true)
classes_stamp=$(
  for file in "$here"/class-archive/*.ts "$here/../bin/mesos-taskmanager.sh" "${java%/bin/java}/release"; do
    [[ ! -f $file ]] || cat "$file"
  done | cat - <(echo "$home_stamp") | sha256sum | cut -d ' ' -f 1
)

home_ready() {
  [[ $(cat "$home/.home-stamp" 2>/dev/null) == "$home_stamp" ]]
}

driver_ready() {
  [[ $(cat "$home/.driver-stamp" 2>/dev/null) == "$driver_stamp" &&
    -f $home/lib/drey-flink-driver.jar ]]
}

conf_ready() {
  diff -rq "$here/flink-conf" "$home/conf" >/dev/null 2>&1
}

classes_ready() {
  [[ $(cat "$home/.classes-stamp" 2>/dev/null) == "$classes_stamp" ]]
}

# Runs Maven, silent unless it fails; -C: what does not match its checksum is an error, not a warning.
maven() {
  local log=$scratch/maven.log
  mvn -C -B -q -Dstyle.color=never -Dflink.version="$version" "$@" >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    fail "Maven could not finish (above are its last words)"
  }
}

# Whether the jars below a folder are those of a list, no more and no less.
same_jars() {
  local folder=$1 list=$2 found expected
  (cd "$folder" && sha256sum --quiet --strict -c "$list") >&2 || return 1
  found=$(find "$folder" -name '*.jar' | wc -l)
  expected=$(wc -l <"$list")
  [[ $found == "$expected" ]] || fail "Maven brought $found jars, $expected are recorded in $(basename "$list")"
}

check_tools() {
  command -v mvn >/dev/null || fail "mvn is not on the PATH: install Maven 3.6 or newer"
  command -v javac >/dev/null || fail "javac is not on the PATH: install a JDK, 11 or newer (17 is tested)"
}

install_home() {
  local new=$scratch/home
  echo "flink $version: resolving Flink's jars"
  maven -f "$here/flink-home.pom.xml" -Dexamples.version="$examples" -Dhome="$new" package
  same_jars "$new" "$sums" ||
    fail "a jar of Flink $version is not the one recorded in deploy/install/flink-$version.sha256"
  echo "$home_stamp" >"$new/.home-stamp"
  # A rename, so that nobody ever sees half a home; an older one stays whole until then.
  [[ ! -e $home ]] || mv -T "$home" "$scratch/old"
  mv -T "$new" "$home"
  echo "flink $version: $(wc -l <"$sums") jars verified, in $home"
}

# Apart from the jars: a changed log pattern must not pull them away from under running processes.
install_conf() {
  cp -r "$here/flink-conf" "$scratch/conf"
  [[ ! -e $home/conf ]] || mv -T "$home/conf" "$scratch/old-conf"
  mv -T "$scratch/conf" "$home/conf"
}

install_driver() {
  echo "flink $version: building the driver"
  # The jars that become part of it are copied aside, to be held to their list before it is used.
  maven -f "$sources/pom.xml" -Dbuild.folder="$scratch/build" package \
    org.apache.maven.plugins:maven-dependency-plugin:2.10:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$scratch/driver"
  same_jars "$scratch/driver" "$here/flink-driver.sha256" ||
    fail "a jar of the driver is not the one recorded in deploy/install/flink-driver.sha256"
  mv "$scratch/build/drey-flink-driver.jar" "$home/lib/drey-flink-driver.jar"
  echo "$driver_stamp" >"$home/.driver-stamp"
  echo "flink $version: driver ready"
}

# Runs a job once and keeps what classes its JVMs loaded. Without it they start more slowly, no more.
install_classes() {
  local node=$root/node_modules/.bin/node
  [[ -x $node ]] || node=node
  echo "flink $version: archiving classes"
  if "$node" "$here/class-archive/main.ts" "$home" >"$scratch/classes.log" 2>&1; then
    echo "flink $version: class archives ready"
  else
    tail -n 60 "$scratch/classes.log" >&2
    echo "flink $version: no class archives (above is why), JVMs start more slowly;" \
      "to try again, remove $home/.classes-stamp" >&2
  fi
  echo "$classes_stamp" >"$home/.classes-stamp"
}

if home_ready && conf_ready && driver_ready && classes_ready; then
  echo "flink $version: nothing to do"
  exit 0
fi

check_tools
mkdir -p "$root/.drey" "$(dirname "$home")"
exec 9>"$root/.drey/flink-install.lock"
flock 9
# Beside the home, so that a rename does the rest. What a killed run left there is nobody's any more.
rm -rf "$home".install-?????? "$home".classes-??????
scratch=$(mktemp -d "$home.install-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
home_ready || install_home
conf_ready || install_conf
driver_ready || install_driver
classes_ready || install_classes
echo "flink $version: ready"
