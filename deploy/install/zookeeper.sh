#!/bin/sh
# Brings the five ZooKeeper 3.9.6 jars through Maven: zookeeper.sh [folder]
# The folder is .drey/zookeeper-3.9.6 below the repository root unless it is given; it is printed
# on success. A second run only checks the sums. Two runs at once do not disturb each other.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
folder=${1:-$root/.drey/zookeeper-3.9.6}

# metrics-core and snappy-java are "provided" in ZooKeeper's POM, but without the first the server
# dies and without the second it never serves. netty, logback and jetty are not needed.
pins='
09bdf93be7c0b5b7cd9fe51bee6abe424796cd5aaf75cf0c10bbd6f1273562ee org.apache.zookeeper zookeeper 3.9.6
74f9cb1e4ba899ecc4b816201b4afd1c63c256705bd9176393fac4071597c75f org.apache.zookeeper zookeeper-jute 3.9.6
cdba07964d1bb40a0761485c6b1e8c2f8fd9eb1d19c53928ac0d7f9510105c57 org.slf4j slf4j-api 1.7.30
cec34936faa625039f4e46123eccaa10a9eb9d9a40c6075830cd81330e259cf9 io.dropwizard.metrics metrics-core 4.1.12.1
0f3f1857ed33116583f480b4df5c0218836c47bfbc9c6221c0d73f356decf37b org.xerial.snappy snappy-java 1.1.10.5
'

each_pin() {
  printf '%s' "$pins" | sed '/^$/d'
}

complete() {
  [ -d "$1" ] || return 1
  each_pin | while read -r sum _ artifact version; do
    printf '%s  %s/%s-%s.jar\n' "$sum" "$1" "$artifact" "$version"
  done | sha256sum --check --status 2>/dev/null
}

if complete "$folder"; then
  printf '%s\n' "$folder"
  exit 0
fi

command -v mvn >/dev/null 2>&1 || {
  echo 'zookeeper.sh: mvn is not on the PATH; install Maven and a JDK 17' >&2
  exit 1
}

mkdir -p "$(dirname -- "$folder")"
fetched=$(mktemp -d "$folder.XXXXXX")
trap 'rm -rf "$fetched"' EXIT
trap 'exit 130' INT TERM

# The plugin 2.10 is the last that fetches a jar without resolving its POM and the POM's parents.
{
  echo '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
  echo '<groupId>drey</groupId><artifactId>zookeeper-jars</artifactId><version>1</version>'
  echo '<packaging>pom</packaging><build><plugins><plugin>'
  echo '<artifactId>maven-dependency-plugin</artifactId><version>2.10</version>'
  echo '<configuration><artifactItems>'
  each_pin | while read -r _ group artifact version; do
    echo "<artifactItem><groupId>$group</groupId><artifactId>$artifact</artifactId>"
    echo "<version>$version</version></artifactItem>"
  done
  echo "</artifactItems><outputDirectory>$fetched/jars</outputDirectory></configuration>"
  echo '</plugin></plugins></build></project>'
} >"$fetched/pom.xml"

mvn --batch-mode --quiet --file "$fetched/pom.xml" dependency:copy >"$fetched/mvn.log" 2>&1 || {
  cat "$fetched/mvn.log" >&2
  echo 'zookeeper.sh: Maven could not bring the ZooKeeper jars (see above)' >&2
  exit 1
}
complete "$fetched/jars" || {
  echo 'zookeeper.sh: a ZooKeeper jar differs from its pinned SHA-256; nothing was installed' >&2
  exit 1
}

# What is there and incomplete is moved away first; another run may have been quicker, which is fine.
if [ -e "$folder" ] && ! complete "$folder"; then
  mv -T "$folder" "$fetched/incomplete" 2>/dev/null || true
fi
mv -T "$fetched/jars" "$folder" 2>/dev/null || complete "$folder" || {
  echo "zookeeper.sh: $folder cannot be written" >&2
  exit 1
}
printf '%s\n' "$folder"
