import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BusUnavailableError, StoreUnavailableError } from '#runtime/errors.ts';
import { until } from '#test/world/until.ts';
import { MemoryStore } from './memory-store.ts';
import { type CountEvent, countIn, counting, ground, start } from './world.ts';

const at = ground();
const soon = { deadlineMs: 20_000 };
let streams = 0;

/** A stream of its own for one test, and a function that counts its messages by their ids. */
async function commands(perform: (id: string) => Promise<readonly CountEvent[]>) {
  streams += 1;
  const stream = `COMMANDS${streams}`;
  const subject = `command${streams}`;
  const bus = await at().bus();
  await bus.ensureStream({
    name: stream,
    subjects: [subject],
    retention: 'workqueue',
    maxBytes: 1_000_000,
    maxAgeMs: 3_600_000,
  });
  const ids: string[] = [];
  const base = counting(perform);
  const definition: typeof base = {
    ...base,
    hears: [
      {
        transport: 'stream',
        stream,
        durable: 'counting',
        parse: (message) => {
          ids.push(message.id);
          const kind = new TextDecoder().decode(message.data) === 'break' ? 'break' : 'add';
          return { kind, id: message.id };
        },
      },
    ],
  };
  const append = (text: string) => bus.append(subject, new TextEncoder().encode(text));
  const left = async () => {
    const asked = await bus.request(`$JS.API.STREAM.INFO.${stream}`, new Uint8Array(), {
      timeoutMs: 2000,
    });
    return JSON.parse(new TextDecoder().decode(asked.data)).state.messages as number;
  };
  return { definition, append, left, ids };
}

function run(definition: ReturnType<typeof counting>, store: MemoryStore) {
  return start(at(), definition, store);
}

test('runner: a kept message is delivered again until its effects are performed, and applied once', async () => {
  const store = new MemoryStore();
  let refusals = 2;
  const { definition, append, left, ids } = await commands(async () => {
    refusals -= 1;
    if (refusals >= 0) throw new BusUnavailableError('nobody there');
    return [];
  });
  // Applied at the first delivery; the later ones must find it done and perform again.
  const again = { ...definition, decide: performAlways(definition.decide) };
  const one = await run(again, store);
  const two = await run(again, store);
  await append('x');
  await until(async () => (await left()) === 0, { ...soon, what: 'it is acknowledged' });
  assert.equal(await countIn(store), 1);
  assert.equal(ids.length, 3);
  assert.equal(new Set(ids).size, 1);
  assert.match(ids[0] ?? '', /^[A-Za-z0-9]+-1-\d+$/);
  await one.running.stop();
  await two.running.stop();
});

test('runner: a kept message that breaks every decision is set aside, the next one is handled', async () => {
  const store = new MemoryStore();
  const { definition, append, left } = await commands(async () => []);
  const { running, log } = await run(definition, store);
  await append('break');
  await append('fine');
  await until(async () => (await left()) === 0, { ...soon, what: 'both are gone' });
  assert.equal(await countIn(store), 1);
  assert.ok(
    log.lines.some(({ level, sentence }) => level === 'error' && /set aside/.test(sentence)),
  );
  await running.stop();
});

test('runner: a kept message whose effects break for no reason of the world does not come for ever', async () => {
  const { definition, append, left, ids } = await commands(async () => {
    throw new TypeError('a broken effect');
  });
  const always = { ...definition, decide: performAlways(definition.decide) };
  const { running } = await run(always, new MemoryStore());
  await append('x');
  await until(async () => (await left()) === 0, { ...soon, what: 'it is set aside' });
  assert.equal(ids.length, 3);
  await running.stop();
});

test('runner: a copy that stops while the store is away leaves its message to another copy', async () => {
  const { definition, append, left } = await commands(async () => []);
  const away = new MemoryStore();
  away.beforeRead = () => {
    throw new StoreUnavailableError('no server');
  };
  const store = new MemoryStore();
  const one = await run(definition, away);
  await append('x');
  await until(() => one.log.lines.length > 0, { ...soon, what: 'the first copy has tried' });
  const two = await run(definition, store);
  await one.running.stop();
  await until(async () => (await left()) === 0, { ...soon, what: 'the second has handled it' });
  assert.equal(await countIn(store), 1);
  await two.running.stop();
});

/** Effects also for what was counted before: as a command's answer is given again. */
function performAlways(
  decide: ReturnType<typeof counting>['decide'],
): ReturnType<typeof counting>['decide'] {
  return (state, events, moment) => ({
    ...decide(state, events, moment),
    effects: events.map(({ id }) => id),
  });
}
