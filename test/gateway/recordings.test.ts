import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Epoch } from '#gateway/core/epoch.ts';
import { type GatewaySurroundings, silentMetrics } from '#gateway/core/surroundings.ts';
import type { SchedulerEvent } from '#proto/mesos/types.ts';
import { recordPathsOf } from '#proto/records.ts';
import { subjectsOf } from '#proto/subjects.ts';
import type { Bus, BusMessage } from '#runtime/bus/bus.ts';
import { silentLog } from '#runtime/log.ts';
import type { Store } from '#runtime/store/store.ts';
import { plainSettings } from './gateway-world.ts';

const folder = join(import.meta.dirname, '../recordings');

interface Recorded {
  readonly kind: string;
  readonly conn: string;
  readonly type: string;
  readonly body_b64?: string;
  readonly decoded?: SchedulerEvent;
}

/** The scheduler streams of one transcript, each an ordered list of events. */
function streamsOf(name: string): readonly (readonly Recorded[])[] {
  const lines = readFileSync(join(folder, name, 'transcript.jsonl'), 'utf8')
    .trim()
    .split('\n');
  const streams = new Map<string, Recorded[]>();
  for (const line of lines) {
    const record = JSON.parse(line) as Recorded;
    if (record.kind !== 'event') continue;
    streams.set(record.conn, [...(streams.get(record.conn) ?? []), record]);
  }
  // The operator's stream has other events.
  return [...streams.values()].filter(([first]) => first?.decoded?.subscribed?.framework_id);
}

/** What an epoch hands to the bus, with a world that answers everything. */
function epochThatTells(heard: { subject: string; data: Uint8Array }[]): Epoch {
  const subjects = subjectsOf('c');
  const take = (subject: string, data: Uint8Array) => heard.push({ subject, data }) > 0;
  const bus: Partial<Bus> = {
    publish: take,
    request: async (subject, data) => {
      take(subject, data);
      return { subject, data: new Uint8Array(), headers: {} } satisfies BusMessage;
    },
    subscribe: () => ({ drain: async () => {} }),
  };
  const part: GatewaySurroundings = {
    store: {} as Store,
    bus: bus as Bus,
    clock: { now: () => 0, elapsed: () => 0, after: () => ({ cancel: () => {} }) },
    random: () => 0.5,
    mesos: {
      subscribe: () => Promise.reject(new Error('unused')),
      call: () => Promise.reject(new Error('unused')),
    },
    subjects,
    paths: recordPathsOf('/drey', 'c'),
    id: 'g',
    settings: plainSettings(),
    log: silentLog,
    metrics: silentMetrics,
  };
  const options = {
    number: 1,
    frameworkId: 'f',
    suppressed: false,
    store: async () => true,
    leads: () => true,
  };
  return new Epoch(part, options);
}

const protobuf = readdirSync(folder).filter((name) => name.endsWith('-protobuf'));

for (const name of protobuf) {
  test(`gateway: every event that a real master sent in ${name} finds its subject`, async () => {
    for (const events of streamsOf(name)) {
      const heard: { subject: string; data: Uint8Array }[] = [];
      const epoch = epochThatTells(heard);
      epoch.opened({ streamId: 's', close: () => {} });
      const lent = new Set<string>();
      for (const { body_b64: body = '', decoded } of events) {
        for (const offer of decoded?.offers?.offers ?? []) lent.add(offer.id.value);
        if (decoded?.rescind) lent.delete(decoded.rescind.offer_id.value);
        epoch.event(Buffer.from(body, 'base64'));
        // SUBSCRIBED is stored before the next event goes on.
        await new Promise((resolve) => setImmediate(resolve));
        if (!epoch.subscribed) break;
        assert.equal(epoch.calls.lent.size, lent.size);
      }
      const told = (type: string) => events.filter((event) => event.type === type);
      const silent = ['HEARTBEAT', 'RESCIND', 'RESCIND_INVERSE_OFFER'];
      const owed = events.filter(({ type }) => !silent.includes(type));
      assert.deepEqual(
        heard.map(({ data }) => Buffer.from(data).toString('base64')),
        owed.map(({ body_b64: body }) => body),
      );
      const updates = heard.filter(({ subject }) => subject.includes('.event.update.'));
      assert.equal(updates.length, told('UPDATE').length);
      assert.equal(epoch.requests.missed, 0);
    }
  });
}
