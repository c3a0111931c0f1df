import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { z } from 'zod';
import type { ServiceOptions } from '#runtime/bus/bus.ts';
import { BadMessageError, BusUnavailableError } from '#runtime/errors.ts';
import { natsCommand } from '#test/world/nats.ts';
import { until } from '#test/world/until.ts';
import { bus, bytes, full, server, text, versions } from './world.ts';

const service: ServiceOptions = {
  name: 'drey-explain',
  version: '0.1.0',
  description: 'answers questions',
  metadata: { cluster: 'c', copy: '1' },
  queue: 'explain',
  endpoints: [
    {
      name: 'status',
      subject: 'ask.status',
      handle: async (message) => {
        const question = text(message);
        if (question === 'bad') throw new BadMessageError('no such question');
        if (question === 'away') throw new BusUnavailableError('the world is away');
        if (question === 'broken') throw new TypeError('a secret detail');
        return question === 'elsewhere' ? undefined : bytes(`answer to ${question}`);
      },
    },
  ],
};

const stats = z.object({
  name: z.string(),
  endpoints: z.array(z.object({ num_requests: z.number(), num_errors: z.number() })),
});

for (const version of versions) {
  test(`bus: services answer, tell their errors and their counts (${version})`, async (t) => {
    const nats = await server(t, version);
    const [asker, answerer] = [await bus(nats), await bus(nats)];
    const serving = await answerer.serve(service);
    const ask = (question: string) =>
      asker.request('ask.status', bytes(question), { timeoutMs: 1000 });
    await until(() => ask('a').then(() => true), { deadlineMs: 5000, what: 'the service stands' });
    assert.equal(text(await ask('b')), 'answer to b');
    const bad = await ask('bad');
    assert.equal(bad.headers['Nats-Service-Error-Code'], '400');
    assert.equal(bad.headers['Nats-Service-Error'], 'DREY_BAD_MESSAGE: no such question');
    assert.deepEqual(JSON.parse(text(bad)), {
      status: 'error',
      code: 'DREY_BAD_MESSAGE',
      message: 'no such question',
    });
    assert.equal((await ask('away')).headers['Nats-Service-Error-Code'], '503');
    const broken = await ask('broken');
    assert.equal(broken.headers['Nats-Service-Error-Code'], '500');
    assert.doesNotMatch(text(broken), /secret/);
    const about = async (subject: string) =>
      JSON.parse(text(await asker.request(subject, bytes(''), { timeoutMs: 1000 })));
    const told = await about('$SRV.INFO.drey-explain');
    assert.equal(told.type, 'io.nats.micro.v1.info_response');
    assert.deepEqual(told.metadata, { cluster: 'c', copy: '1' });
    assert.deepEqual(told.endpoints, [
      { name: 'status', subject: 'ask.status', queue_group: 'explain' },
    ]);
    assert.equal((await about('$SRV.PING')).id, told.id);
    const counted = stats.parse(await about(`$SRV.STATS.drey-explain.${told.id}`));
    assert.equal(counted.endpoints[0]?.num_errors, 3);
    await nats.restart();
    await until(() => ask('c').then(() => true), { deadlineMs: 15_000, what: 'it answers again' });
    await serving.drain();
    await assert.rejects(ask('d'));
  });
}

if (full) {
  test('bus: the nats command lists a service and asks it', { timeout: 300_000 }, async (t) => {
    const nats = await server(t, 'current');
    const command = await natsCommand();
    await (await bus(nats)).serve(service);
    const run = promisify(execFile);
    const said = async (...words: string[]) =>
      (await run(command, ['--server', nats.url, ...words])).stdout;
    assert.match(await said('micro', 'ls'), /drey-explain/);
    assert.match(await said('req', 'ask.status', 'x'), /answer to x/);
    assert.match(await said('micro', 'stats', 'drey-explain'), /status/);
  });
}
