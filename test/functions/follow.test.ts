import assert from 'node:assert/strict';
import { test } from 'node:test';
import { subjectsOf } from '#proto/subjects.ts';
import type { Bus, BusMessage } from '#runtime/bus/bus.ts';
import { sleep, systemClock } from '#runtime/clock.ts';
import { follow } from '../../functions/explain/log.ts';
import { MemoryStore } from '../runner/memory-store.ts';
import { hearLog } from '../runner/world.ts';
import { paths } from './built.ts';

const subjects = subjectsOf('test');

/** The decision stream as a server hands it over, or does not. */
function following(replay: Bus['replay']) {
  const log = hearLog();
  const bus = { replay } as unknown as Bus;
  const context = { subjects, paths, bus, store: new MemoryStore(), clock: systemClock, log };
  const filter = subjects.everySetAside;
  const wanted = { filter, back: 10, kept: 10, read: ({ subject }: BusMessage) => [subject] };
  return { log, followed: follow(context, wanted) };
}

test('explain: the first question already knows what the stream holds', async () => {
  const { followed } = following(async (_stream, _filter, _count, handle) => {
    await sleep(systemClock, 10);
    handle({ subject: 'one', data: new Uint8Array(), headers: {} });
    return { drain: async () => {} };
  });
  assert.deepEqual(await followed.known(), ['one']);
});

test('explain: a stream that does not answer keeps no question waiting', async () => {
  const { followed, log } = following(() => new Promise(() => {}));
  assert.deepEqual(await followed.known(), []);
  assert.deepEqual(log.lines, []);
});

test('explain: whatever breaks the reading of the stream is told in the log', async () => {
  const { followed, log } = following(async () => {
    throw new TypeError('broken');
  });
  assert.deepEqual(await followed.known(), []);
  assert.deepEqual(
    log.lines.map(({ level, sentence }) => [level, sentence]),
    [['warn', 'the decision stream cannot be read']],
  );
});
