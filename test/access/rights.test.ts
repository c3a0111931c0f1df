import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { everyFunction } from '#functions/all.ts';
import { functionRoles, type Role, rightsOf, roles } from '#proto/access.ts';
import { recordPathsOf } from '#proto/records.ts';
import { subjectsOf } from '#proto/subjects.ts';
import type { Bus } from '#runtime/bus/bus.ts';
import { systemClock } from '#runtime/clock.ts';
import type { Store } from '#runtime/store/store.ts';
import { type GuardedNats, startGuardedNats } from './users.ts';

const cluster = 'guarded';
const subjects = subjectsOf(cluster);
const foreign = subjectsOf('another');

async function guarded(t: TestContext, version: 'current' | 'oldest'): Promise<GuardedNats> {
  const dir = await mkdtemp(join(tmpdir(), 'drey-access-'));
  const nats = await startGuardedNats(cluster, dir, version);
  t.after(async () => {
    await nats.server.stop();
    await rm(dir, { recursive: true, force: true });
  });
  return nats;
}

/** Which of these the server refuses to this role, by its own log. */
async function refused(
  nats: GuardedNats,
  role: Role,
  kind: 'publish' | 'subscribe',
  tried: readonly string[],
): Promise<readonly string[]> {
  const before = (await nats.violations()).length;
  const client = await nats.client(role);
  for (const subject of tried) {
    if (kind === 'publish') client.publish(subject, '{}');
    else client.subscribe(subject, { callback: () => {} });
  }
  await client.flush();
  await client.close();
  const lines = (await nats.violations()).slice(before);
  return tried.filter((subject) => lines.some((line) => line.includes(`"${subject}"`)));
}

/** One subject of every kind that may be published, and what no role may ever say. */
const never = [
  foreign.admin('teardown'),
  foreign.tick,
  `$JS.API.STREAM.DELETE.${subjects.adminStream}`,
  `$JS.API.STREAM.PURGE.${subjects.adminStream}`,
  `$JS.API.STREAM.MSG.DELETE.${subjects.adminStream}`,
  `$JS.API.CONSUMER.DELETE.${subjects.adminStream}.admin`,
  `$JS.API.CONSUMER.DURABLE.CREATE.${subjects.adminStream}.mine`,
  '$JS.API.STREAM.CREATE.MINE',
  '_INBOX.somebody',
];
const said: Readonly<Record<string, readonly Role[]>> = {
  [subjects.admin('teardown')]: ['admin', 'functions', 'appmaster', 'administrator'],
  [subjects.admin('release-hold')]: ['admin', 'functions', 'administrator'],
  [subjects.do('scale')]: ['administrator'],
  [subjects.ask('status')]: ['administrator', 'reader'],
  [subjects.tick]: ['gateway'],
  [subjects.offers]: ['gateway'],
  [subjects.update('t1')]: ['gateway'],
  [subjects.demand('request')]: ['driver'],
  [subjects.demand('deregister')]: ['driver'],
  [subjects.demand('ended')]: ['demand', 'functions'],
  [subjects.call(3, 'accept')]: ['offers', 'functions'],
  [subjects.call(3, 'acknowledge')]: ['updates', 'functions'],
  [subjects.call(3, 'teardown')]: ['jobs', 'admin', 'functions'],
  [subjects.decision('offers')]: ['offers', 'functions'],
  [subjects.setAside('offers')]: ['offers', 'functions'],
  [`$JS.API.STREAM.UPDATE.${subjects.adminStream}`]: ['admin', 'functions'],
  [`$JS.ACK.${subjects.adminStream}.admin.1.1.1.1.1`]: ['admin', 'functions'],
  ...Object.fromEntries(never.map((subject) => [subject, []])),
};
const heard: Readonly<Record<string, readonly Role[]>> = {
  '>': [],
  [`drey.${cluster}.>`]: [],
  '_INBOX.>': [],
  '_INBOX.drey.guarded.administrator.>': ['administrator'],
  '_INBOX.drey.guarded.gateway.x': ['gateway'],
  [subjects.everyAdmin]: [],
  [subjects.anyCall('accept')]: ['gateway'],
  [subjects.demand('request')]: ['demand', 'functions'],
  [subjects.demand('launched')]: ['driver'],
  [subjects.everyUpdate]: ['updates', 'functions'],
  [subjects.everyDecision]: ['administrator', 'reader'],
  [subjects.everySetAside]: ['administrator', 'reader'],
};

for (const version of ['current', 'oldest'] as const) {
  test(`access: the server lets each role say and hear what is its own alone (${version})`, async (t) => {
    const nats = await guarded(t, version);
    for (const role of roles) {
      const wrong = (table: typeof said) =>
        Object.keys(table).filter((subject) => !table[subject]?.includes(role));
      const published = await refused(nats, role, 'publish', Object.keys(said));
      assert.deepEqual(published, wrong(said), `${role} publishes`);
      const listened = await refused(nats, role, 'subscribe', Object.keys(heard));
      assert.deepEqual(listened, wrong(heard), `${role} subscribes`);
    }
  });
}

test('access: who has no key, or an unknown one, is not let in', async (t) => {
  const nats = await guarded(t, 'current');
  await assert.rejects(nats.client('reader', { authenticator: [] }), /Authorization Violation/i);
});

test('access: what a function hears and answers its user may subscribe to', () => {
  const rights = rightsOf(cluster);
  const nothing = { drain: async () => {} };
  const bus = { subscribe: () => nothing } as unknown as Bus;
  const store = {} as unknown as Store;
  const paths = recordPathsOf('/drey', cluster);
  const context = { subjects, paths, store, bus, clock: systemClock };
  assert.deepEqual([...functionRoles].sort(), Object.keys(everyFunction).sort());
  for (const role of functionRoles) {
    const definition = everyFunction[role]?.(context);
    assert.ok(definition);
    const { subscribe } = rights[role];
    const wanted = [
      ...definition.hears.flatMap((hears) => ('subject' in hears ? [hears.subject] : [])),
      ...(definition.endpoints ?? []).map(({ subject }) => subject),
    ];
    for (const subject of wanted) {
      const allowed = subscribe.some((one) => covers(one, subject));
      assert.ok(allowed, `${role} hears ${subject}: allow it in proto/access.ts`);
    }
  }
});

/** Whether every subject that `narrow` stands for is one that `wide` stands for. */
function covers(wide: string, narrow: string): boolean {
  const tokens = wide.split('.');
  const others = narrow.split('.');
  if (tokens.at(-1) !== '>' && tokens.length !== others.length) return false;
  return tokens.every((token, at) => token === '>' || token === '*' || token === others[at]);
}
