import { recordPathsOf, type WorkerRecord } from '#proto/records.ts';
import { Past } from './evidence/past.ts';
import type { Line } from './evidence/transcript.ts';
import type { Change, Commit } from './evidence/zookeeper-log.ts';
import type { Evidence } from './laws/law.ts';

export const paths = recordPathsOf('/drey', 'laws');
const size = {
  ...{ cpus: 1, memMb: 1024, diskMb: 0, gpus: 0, network: 0, slots: 1 },
  ports: [],
};
export const running = 'taskmanager-00001';
export const leaving = 'taskmanager-00002';
const uuids: Readonly<Record<string, string>> = {
  [running]: '11'.repeat(16),
  [leaving]: '22'.repeat(16),
};
const endUuid = '33'.repeat(16);

/** What a run has left, before it is bent: two workers are launched, one is stopped and forgotten. */
export interface History {
  readonly transcript: Line[];
  readonly commits: Commit[];
  readonly decisions: { op: string; effects: string[] }[];
  readonly end: {
    target: number;
    tasks: { id: string; state: string; agentId: string }[];
    launches: Record<string, number>;
  };
}

export function worker(id: string, change: Partial<WorkerRecord>): string {
  const base = { v: 1, op: 'o', id, kind: 'taskmanager', state: 'wanted', generation: 1, size };
  const rest = { spoke: 1, confirmed: true, times: {}, why: 'a test' };
  return JSON.stringify({ ...base, ...rest, ...change });
}

function launch(offer: string) {
  return { op: 'launch', offerIds: [offer], epoch: 1, at: 20 };
}

function status(uuid: string, state: string, at: number) {
  return { uuid: Buffer.from(uuid, 'hex').toString('base64'), state, at };
}

export function framework(epoch: number): Change {
  const record = { v: 1, op: 'o', id: 'F', epoch, gateway: 'g', state: 'active', fenced: [] };
  return { kind: 'set', path: paths.framework, data: JSON.stringify(record) };
}

export function commit(at: number, ...changes: readonly Change[]): Commit {
  return { zxid: BigInt(at), at, changes };
}

export function create(path: string, data = ''): Change {
  return { kind: 'create', path, data };
}

export function set(id: string, change: Partial<WorkerRecord>): Change {
  return { kind: 'set', path: paths.worker(id), data: worker(id, change) };
}

export function remove(path: string): Change {
  return { kind: 'delete', path, data: '' };
}

export function fleet(counter: number): Change {
  return create(paths.fleet, JSON.stringify({ v: 1, op: 'o', counter }));
}

export function history(): History {
  const both = [running, leaving];
  const offerOf = (id: string): string => (id === running ? 'O1' : 'O2');
  return {
    commits: [
      commit(1, framework(1)),
      commit(
        10,
        fleet(2),
        ...both.flatMap((id) => [
          create(paths.worker(id), worker(id, {})),
          create(paths.waits(id)),
        ]),
      ),
      ...both.map((id, n) =>
        commit(
          20 + n,
          set(id, { state: 'launching', launch: launch(offerOf(id)), due: 99, agentId: 'A' }),
          remove(paths.waits(id)),
          create(paths.dueAt(99, id)),
        ),
      ),
      ...both.map((id, n) =>
        commit(
          40 + n,
          set(id, {
            state: 'running',
            agentId: 'A',
            launch: launch(offerOf(id)),
            status: status(uuids[id] ?? '', 'TASK_RUNNING', 38),
          }),
          remove(paths.dueAt(99, id)),
        ),
      ),
      commit(60, set(leaving, { state: 'stopping' }), create(paths.leaves(leaving))),
      commit(80, set(leaving, { state: 'ended', status: status(endUuid, 'TASK_KILLED', 75) })),
      commit(90, remove(paths.worker(leaving)), remove(paths.leaves(leaving))),
    ],
    transcript: [
      { at: 5, call: 'SUBSCRIBE', status: 200, stream: 'S1', framework: 'F' },
      ...both.map((id, n) => ({
        ...{ at: 30 + n, call: 'ACCEPT', status: 202, stream: 'S1', framework: 'F' },
        ...{ offers: [offerOf(id)], tasks: [id] },
      })),
      ...both.map((task, n) => ({
        ...{ at: 39 + n, event: 'UPDATE', stream: 'S1', task, state: 'TASK_RUNNING' },
        ...{ uuid: uuids[task], timestamp: 0.038 },
      })),
      ...both.map((task) => ({
        ...{ at: 45, call: 'ACKNOWLEDGE', status: 202, stream: 'S1', framework: 'F' },
        ...{ task, uuid: uuids[task] },
      })),
      { at: 65, call: 'KILL', status: 202, stream: 'S1', framework: 'F', task: leaving },
      {
        ...{ at: 75, event: 'UPDATE', stream: 'S1', task: leaving, state: 'TASK_KILLED' },
        ...{ uuid: endUuid, timestamp: 0.075 },
      },
      {
        ...{ at: 85, call: 'ACKNOWLEDGE', status: 202, stream: 'S1', framework: 'F' },
        ...{ task: leaving, uuid: endUuid },
      },
    ],
    decisions: both.map((id) => ({
      op: 'launch',
      effects: [`ACCEPT ${offerOf(id)}: LAUNCH ${id}`],
    })),
    end: {
      target: 1,
      tasks: [{ id: running, state: 'TASK_RUNNING', agentId: 'A' }],
      launches: { [running]: 1, [leaving]: 1 },
    },
  };
}

export function evidenceOf({ transcript, commits, decisions, end }: History): Evidence {
  const rest = { at: 0, function: 'offers', copy: 'c', heard: [], wrote: [], reasons: [] };
  return {
    paths,
    transcript,
    commits,
    past: new Past(commits, paths),
    decisions: decisions.map((one) => ({ ...rest, ...one })),
    end,
  };
}
