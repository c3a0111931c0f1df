#!/usr/bin/env bash
# Starts one TaskManager in its Mesos sandbox. Nothing but Java is needed on the agent.
#
# FLINK_HOME                    the directory with lib/ and conf/; default: the one above this script
# JAVA_HOME, PATH               where Java is looked for, in this order
# JVM_ARGS                      memory flags, as Flink computed them for this worker
# FLINK_ENV_JAVA_OPTS           env.java.opts.all; FLINK_ENV_JAVA_OPTS_TM: env.java.opts.taskmanager
# DREY_TASKMANAGER_PROPERTIES   key=value lines: ports, taskmanager.resource-id, taskmanager.host, sizes
#
# Arguments are handed on to Flink's TaskManagerRunner. This script is also fit for dash.

fail() {
  echo "mesos-taskmanager.sh: $*" >&2
  exit 1
}

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || fail "cannot tell where this script lies"
home=${FLINK_HOME:-$here/..}
home=$(CDPATH='' cd -- "$home" 2>/dev/null && pwd) || fail "FLINK_HOME: there is no directory $FLINK_HOME"
conf=${FLINK_CONF_DIR:-$home/conf}
sandbox=${MESOS_SANDBOX:-$(pwd)}
ls "$home"/lib/*.jar >/dev/null 2>&1 ||
  fail "FLINK_HOME: there are no jars in $home/lib; ship Flink's lib directory or set FLINK_HOME to one that the agent has"

if [ -n "${JAVA_HOME:-}" ]; then
  java=$JAVA_HOME/bin/java
  [ -x "$java" ] || fail "JAVA_HOME: there is no $java on this agent; set containerized.taskmanager.env.JAVA_HOME to a Java 11 or newer"
else
  java=$(command -v java) ||
    fail "no Java on this agent (JAVA_HOME is not set, PATH has no java); install Java 17 or set containerized.taskmanager.env.JAVA_HOME"
fi

# The temporary files of a killed JVM go with its sandbox.
mkdir -p "$sandbox/tmp" || fail "cannot write below $sandbox"

# In a sandbox the names are relative, as in the class archive: Java compares them as they are.
if [ "$home" = "$(pwd)" ]; then lib=lib; else lib=$home/lib; fi
# In the order of bytes, whatever the language of the agent. The driver is the JobManager's alone.
classpath=$(
  LC_ALL=C
  classpath=
  dist=
  for jar in "$lib"/*.jar; do
    case $jar in
      */drey-flink-driver.jar) ;;
      */flink-dist*) dist=$dist:$jar ;;
      *) classpath=$classpath:$jar ;;
    esac
  done
  classpath=${classpath#:}$dist
  echo "${classpath#:}"
)

# Classes as this very Java maps them; where other jars are found it goes on without.
archive=
if [ -f "$home/class-archive/taskmanager.jsa" ]; then
  release=$(dirname "$(readlink -f "$java")")/../release
  if [ "$(cat "$home/class-archive/release")" = "$(cat "$release" 2>/dev/null)" ]; then
    archive=-XX:SharedArchiveFile=$home/class-archive/taskmanager.jsa
  fi
fi

for more in "${HADOOP_CLASSPATH:-}" "${HADOOP_CONF_DIR:-}" "${YARN_CONF_DIR:-}" "${HBASE_CONF_DIR:-}"; do
  [ -z "$more" ] || classpath=$classpath:$more
done

log4j=
for name in log4j-console.properties log4j.properties; do
  if [ -f "$conf/$name" ]; then
    log4j=file:$conf/$name
    break
  fi
done

# Flink reaches into these packages; Java 8 does not know the flags, and is told to pass over them.
modules="-XX:+IgnoreUnrecognizedVMOptions"
for package in java.base/sun.net.util java.rmi/sun.rmi.registry \
  jdk.compiler/com.sun.tools.javac.api jdk.compiler/com.sun.tools.javac.file \
  jdk.compiler/com.sun.tools.javac.parser jdk.compiler/com.sun.tools.javac.tree \
  jdk.compiler/com.sun.tools.javac.util java.security.jgss/sun.security.krb5; do
  modules="$modules --add-exports=$package=ALL-UNNAMED"
done
for package in java.base/java.lang java.base/java.net java.base/java.io java.base/java.nio \
  java.base/sun.nio.ch java.base/java.lang.reflect java.base/java.text java.base/java.time \
  java.base/java.util java.base/java.util.concurrent java.base/java.util.concurrent.atomic \
  java.base/java.util.concurrent.locks; do
  modules="$modules --add-opens=$package=ALL-UNNAMED"
done

# One argument per line, so that a value may hold blanks and nothing in it reaches a shell.
while IFS= read -r line || [ -n "$line" ]; do
  [ -z "$line" ] || set -- "$@" "-D$line"
done <<PROPERTIES
${DREY_TASKMANAGER_PROPERTIES:-}
PROPERTIES

export FLINK_HOME="$home" FLINK_CONF_DIR="$conf" FLINK_LIB_DIR="$home/lib"
[ ! -d "$home/plugins" ] || export FLINK_PLUGINS_DIR="$home/plugins"

# These are lists of flags, written by Flink or by the operator: split at blanks, no file names made of stars.
set -f
# shellcheck disable=SC2086
exec "$java" $modules ${archive:+"$archive"} ${JVM_ARGS:-} ${FLINK_ENV_JAVA_OPTS:-} ${FLINK_ENV_JAVA_OPTS_TM:-} \
  "-Djava.io.tmpdir=$sandbox/tmp" "-Dlog.file=$sandbox/flink-taskmanager.log" \
  ${log4j:+"-Dlog4j.configurationFile=$log4j"} \
  -classpath "$classpath" org.apache.flink.runtime.taskexecutor.TaskManagerRunner \
  --configDir "$conf" "$@"
