import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NatsError } from 'nats';
import { BusUnavailableError } from '#runtime/errors.ts';
import { createLog } from '#runtime/log.ts';
import { isSensitive } from '#runtime/secrets.ts';

function heard(level = 'info') {
  const lines: Record<string, unknown>[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  return { lines, log: createLog({ level, name: 'test', destination }) };
}

test('log: secrets are hidden at any depth, in children and in errors', () => {
  const { lines, log } = heard();
  log.child({ password: 'p4' }).info(
    {
      'mesos.authenticate.secret': 'p1',
      nats: { servers: ['a'], identity: { Token: 'p2', user: 'u' } },
      list: [{ 's3.api-key': 'p3' }],
    },
    'settings',
  );
  const cause = new NatsError('refused', 'X');
  Object.assign(cause, { auth_token: 'p5' });
  log.error({ error: new BusUnavailableError('no server', { cause }) }, 'failed');
  assert.doesNotMatch(JSON.stringify(lines), /p[1-5]"/);
  assert.deepEqual(lines[0]?.nats, {
    servers: ['a'],
    identity: { Token: '******', user: 'u' },
  });
  assert.equal(lines[0]?.msg, 'settings');
  assert.equal(lines[0]?.level, 'info');
  const error = lines[1]?.error as { type: string; code: string; cause: { message: string } };
  assert.equal(error.type, 'BusUnavailableError');
  assert.equal(error.code, 'DREY_BUS_UNAVAILABLE');
  assert.equal(error.cause.message, 'refused');
});

test('log: the rule for sensitive keys is that of Flink, and covers drey', () => {
  const hidden = [
    'security.ssl.internal.keystore-password',
    'mesos.resourcemanager.framework.secret',
    'fs.azure.account.key.x',
    'x.apikey',
    'metrics.reporter.apikey',
    'rest.basic-auth',
    'pulsar.auth-params',
    'kafka.sasl.jaas.config',
    'x.http-headers',
    'S3.SERVICE-KEY',
    'drey.zookeeper.auth',
    'drey.nats.credentials',
  ];
  assert.deepEqual(
    hidden.filter((key) => !isSensitive(key)),
    [],
  );
  const shown = ['mesos.master', 'drey.cluster', 'taskmanager.numberOfTaskSlots', 'offerId'];
  assert.deepEqual(shown.filter(isSensitive), []);
});

test('log: lines below the level are not written', () => {
  const { lines, log } = heard('warn');
  log.info({}, 'quiet');
  log.warn({ bytes: new Uint8Array(3), seen: new Map([['a', 1]]) }, 'loud');
  assert.equal(lines.length, 1);
  assert.equal(lines[0]?.bytes, '[3 bytes]');
  assert.deepEqual(lines[0]?.seen, { a: 1 });
});
