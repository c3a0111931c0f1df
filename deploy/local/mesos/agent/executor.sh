#!/bin/sh
# The executor of one task: runs its command in a session of its own, notes under $1 which processes
# these are and how the task ended, and outlives the agent. Only builtins and the given setsid ($2) are used,
# for the environment is the task's.
meta=$1
setsid=$2
shift 2
echo $$ > "$meta/executor"
"$setsid" /bin/sh -c 'echo $$ > "$0/task"; exec "$@"' "$meta" "$@"
echo $? > "$meta/exit"
