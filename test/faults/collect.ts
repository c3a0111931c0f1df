import { readFile } from 'node:fs/promises';
import { connect } from 'nats';
import { type DecisionMessage, decisionMessage } from '#proto/messages.ts';
import { Past } from './evidence/past.ts';
import { type Line, parseTranscript } from './evidence/transcript.ts';
import { type Commit, readCommits } from './evidence/zookeeper-log.ts';
import type { Evidence } from './laws/law.ts';
import { unanswered } from './laws/updates.ts';
import type { Stage } from './stage.ts';

/** Reads what a run has left, at a moment when nothing moves any more. */
export async function collect(stage: Stage, target: number): Promise<Evidence> {
  const { world, drey, mesos } = stage;
  const { paths } = drey;
  const commits = readCommits(world.zookeeper.dataDirs).flatMap((commit) =>
    below(commit, `${paths.base}/`),
  );
  const { launches } = await mesos.history();
  const frameworks = await mesos.frameworks();
  const tasks = frameworks.flatMap((framework) => framework.tasks);
  return {
    paths,
    transcript: await readTranscript(stage),
    commits,
    past: new Past(commits, paths),
    decisions: await readDecisions(stage),
    end: {
      target,
      tasks: tasks.map(({ id, state, slave_id }) => ({ id, state, agentId: slave_id })),
      launches: Object.assign({}, ...Object.values(launches)) as Record<string, number>,
    },
  };
}

/** What still differs from the rest that a run must come to; undefined: nothing. */
export async function unrest(stage: Stage, target: number): Promise<string | undefined> {
  const { drey, mesos } = stage;
  const { store, paths } = drey;
  const frameworks = await mesos.frameworks();
  const [framework] = frameworks;
  if (framework === undefined || frameworks.length > 1) return `${frameworks.length} frameworks`;
  if (!framework.active) return 'the framework is not connected';
  const running = framework.tasks.filter(({ state }) => state === 'TASK_RUNNING').length;
  const { length } = framework.tasks;
  if (length !== target || running !== target) return `${running} of ${length} run, not ${target}`;
  const { held } = await drey.framework();
  if (held !== undefined) return `held: ${held.why}`;
  const workers = await drey.workers();
  const other = workers.find(({ state }) => state !== 'running');
  if (other !== undefined) return `${other.id} is ${other.state}: ${other.why}`;
  if (workers.length !== target) return `${workers.length} records, not ${target}`;
  for (const folder of [paths.waiting, paths.due, paths.leaving]) {
    const [left] = await store.list(folder);
    if (left !== undefined) return `${folder}/${left} is left`;
  }
  const owed = unanswered({ transcript: await readTranscript(stage) });
  if (owed > 0) return `${owed} updates are unacknowledged`;
  return framework.suppressed_roles.length > 0 ? undefined : 'offers are not suppressed';
}

/** What every master was told and said so far. */
export async function readTranscript({ transcript }: Stage): Promise<readonly Line[]> {
  return parseTranscript(await readFile(transcript, 'utf8'));
}

function below(commit: Commit, prefix: string): readonly Commit[] {
  const changes = commit.changes.filter(({ path }) => path.startsWith(prefix));
  return changes.length === 0 ? [] : [{ ...commit, changes }];
}

/** The whole decision log, as far as the stream has kept it. */
async function readDecisions({ world, drey }: Stage): Promise<readonly DecisionMessage[]> {
  const connection = await connect({ servers: world.natsServers.map(({ url }) => url) });
  try {
    const stream = drey.subjects.decisionStream;
    const { state } = await (await connection.jetstreamManager()).streams.info(stream);
    const decisions: DecisionMessage[] = [];
    if (state.messages === 0) return decisions;
    const consumer = await connection.jetstream().consumers.get(stream);
    for await (const message of await consumer.consume()) {
      decisions.push(decisionMessage.parse(message.json()));
      if (message.seq >= state.last_seq) break;
    }
    return decisions;
  } finally {
    await connection.close();
  }
}
