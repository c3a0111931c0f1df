import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMaster } from '#gateway/mesos/detect.ts';
import { clusterSettingsOf } from '#gateway/spec/cluster.ts';
import { parseServer } from '#runtime/bus/dial.ts';
import { Configuration } from '#runtime/config/configuration.ts';
import { ConfigurationError } from '#runtime/errors.ts';

const machine = { user: 'u', hostname: 'h' };
const of = (key: string, value: string) => new Configuration([{ key, value, origin: '-D' }]);
const tasks = 'mesos.resourcemanager.tasks';

/** What is wrong in each of these stands beside a secret. */
const mistakes: readonly (() => unknown)[] = [
  () => parseMaster('zk://user:canary@h:2181'),
  () => parseMaster('http://user:canary@h:5050'),
  () => parseMaster('user:canary@h:5050'),
  () => parseServer('http://user:canary@h:4222'),
  () => clusterSettingsOf(of(`${tasks}.uris`, 'https://user:canary@h/x.jar b'), machine),
  () => of('drey.zookeeper.auth', 'drey:canary').int('drey.zookeeper.auth'),
  () => of('drey.nats.token', 'canary').boolean('drey.nats.token'),
  () => of('mesos.master', 'zk://user:canary@h/x').port('mesos.master'),
];

test('access: what is wrong beside a secret is told without it', () => {
  for (const mistake of mistakes) {
    assert.throws(mistake, (error) => {
      assert.ok(error instanceof ConfigurationError);
      assert.doesNotMatch(error.message, /canary/);
      return true;
    });
  }
});
