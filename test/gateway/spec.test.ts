import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clusterSettingsOf } from '#gateway/spec/cluster.ts';
import { gatewaySettingsOf } from '#gateway/spec/gateway.ts';
import { keyWarnings } from '#gateway/spec/keys.ts';
import { withhold } from '#gateway/spec/withheld.ts';
import { Configuration } from '#runtime/config/configuration.ts';
import { clusterOf } from '#runtime/config/connections.ts';
import { ConfigurationError } from '#runtime/errors.ts';

const machine = { user: 'flink', hostname: 'here' };
const tasks = 'mesos.resourcemanager.tasks';

function of(values: Readonly<Record<string, string>>): Configuration {
  const settings = Object.entries(values).map(([key, value]) => ({ key, value, origin: '-D' }));
  return new Configuration(settings);
}

const settings = (values: Readonly<Record<string, string>>) =>
  clusterSettingsOf(of(values), machine);

function fails(values: Readonly<Record<string, string>>, pattern: RegExp): void {
  const matches = (error: unknown) =>
    error instanceof ConfigurationError && pattern.test(error.message);
  assert.throws(() => settings(values), matches);
}

test('spec: an empty configuration has the defaults of Flink 1.13', () => {
  const spec = settings({});
  assert.equal(spec.framework.name, 'Flink');
  assert.deepEqual(spec.framework.roles, ['*']);
  assert.equal(spec.framework.user, 'flink');
  assert.equal(spec.framework.failoverTimeoutSeconds, 604_800);
  assert.equal(spec.framework.webuiUrl, 'http://here:8081/');
  assert.equal(spec.task.command, '$FLINK_HOME/bin/mesos-taskmanager.sh');
  assert.equal(spec.task.environment.FLINK_HOME, '.');
  assert.deepEqual(spec.worker.size, {
    cpus: 1,
    memMb: 1728,
    diskMb: 0,
    gpus: 0,
    network: 0,
    slots: 1,
    ports: ['taskmanager.data.port', 'taskmanager.rpc.port'],
  });
  assert.equal(spec.offers.refuseSeconds, 5);
  assert.equal(spec.demand.mode, 'driver');
  assert.equal(spec.failures.maxPerMinute, 10);
});

test('spec: cpus follow taskmanager.cpu.cores, then tasks.cpus, then the slots', () => {
  const slots = { 'taskmanager.numberOfTaskSlots': '4' };
  assert.equal(settings(slots).worker.size.cpus, 4);
  assert.equal(settings({ ...slots, [`${tasks}.cpus`]: '0.5' }).worker.size.cpus, 0.5);
  assert.equal(settings({ ...slots, [`${tasks}.cpus`]: '0.0' }).worker.size.cpus, 4);
  const both = { ...slots, [`${tasks}.cpus`]: '2', 'taskmanager.cpu.cores': '1.5' };
  assert.equal(settings(both).worker.size.cpus, 1.5);
  fails({ 'taskmanager.cpu.cores': '0' }, /taskmanager\.cpu\.cores.*more than 0/);
});

test('spec: the memory of a TaskManager is divided as Flink divides it', () => {
  const spec = settings({ 'taskmanager.memory.process.size': '1728m' });
  assert.equal(spec.worker.size.memMb, 1728);
  assert.equal(
    spec.worker.flink?.jvm,
    '-Xmx536870912 -Xms536870912 -XX:MaxDirectMemorySize=268435456 -XX:MaxMetaspaceSize=268435456',
  );
  assert.ok(spec.worker.flink?.dynamic.includes('taskmanager.memory.managed.size=536870912b'));
  assert.equal(settings({ 'taskmanager.memory.flink.size': '1280m' }).worker.size.memMb, 1728);
  fails({ 'taskmanager.memory.process.size': '600m' }, /process\.size: 600 MiB is too small/);
  fails({ 'drey.demand': 'fixed' }, /taskmanager\.memory\.process\.size: is not set/);
});

test('spec: the command is a constant, a bootstrap command comes before it in the same shell', () => {
  const spec = settings({
    [`${tasks}.bootstrap-cmd`]: 'cd $MESOS_SANDBOX',
    [`${tasks}.taskmanager-cmd`]: './tm.sh',
    'containerized.taskmanager.env.HADOOP_CLASSPATH': '/h',
    [`${tasks}.uris`]: 'http://a/x.tgz, http://b/y',
    [`${tasks}.labels`]: 'team:a,port:x:1',
  });
  assert.equal(spec.task.command, 'cd $MESOS_SANDBOX && ./tm.sh');
  assert.equal(spec.task.environment.HADOOP_CLASSPATH, '/h');
  assert.deepEqual(
    spec.task.uris.map(({ value }) => value),
    ['http://a/x.tgz', 'http://b/y'],
  );
  assert.deepEqual(spec.task.labels, { team: 'a', port: 'x:1' });
});

test('spec: malformed constraints, ports and labels are told with their position', () => {
  const hard = 'mesos.constraints.hard.hostattribute';
  assert.deepEqual(settings({ [hard]: 'rack:r1, HOSTNAME:a' }).hostAttributes, [
    { attribute: 'rack', value: 'r1' },
    { attribute: 'HOSTNAME', value: 'a' },
  ]);
  fails({ [hard]: 'rack:r1,zone' }, /entry 2 \("zone"\) is not attribute:value/);
  fails({ [`${tasks}.port-assignments`]: 'a.port,9249' }, /entry 2 \("9249"\) is a port number/);
  fails({ [`${tasks}.port-assignments`]: 'a.port,,b' }, /entry 2 \(""\) is empty/);
  fails({ [`${tasks}.labels`]: 'a:1,b' }, /labels.*entry 2/);
  const ports = settings({ [`${tasks}.port-assignments`]: ' metrics.port , taskmanager.rpc.port' });
  assert.deepEqual(ports.worker.size.ports, [
    'taskmanager.data.port',
    'taskmanager.rpc.port',
    'metrics.port',
  ]);
});

test('spec: a container that cannot be given is refused, not left out', () => {
  fails({ [`${tasks}.container.type`]: 'docker' }, /container\.type: docker is not supported/);
  fails({ [`${tasks}.container.type`]: 'lxc' }, /one of mesos, docker/);
  fails({ [`${tasks}.container.image.name`]: 'flink' }, /image\.name: containers are not/);
  assert.ok(settings({ [`${tasks}.container.type`]: 'mesos' }));
});

test('spec: unknown keys are told with the nearest name, former keys with their successor', () => {
  const warnings = keyWarnings(
    of({ 'mesos.mster': 'x', 'mesos.initial-tasks': '1', 'drey.cluster': 'a', 'rest.x': '1' }),
  );
  assert.equal(warnings.length, 2);
  assert.match(warnings.join('\n'), /mesos\.mster .*nearest key is mesos\.master/);
  assert.match(warnings.join('\n'), /mesos\.initial-tasks .*drey\.demand/);
});

test('spec: the cluster has a name, its records never lie below those of Flink', () => {
  assert.equal(clusterOf(of({ 'high-availability.cluster-id': '/prod/a' })), 'prod-a');
  assert.equal(clusterOf(of({ 'drey.cluster': 'b', 'high-availability.cluster-id': '/a' })), 'b');
  assert.throws(() => clusterOf(of({})), /drey\.cluster: is not set/);
  assert.throws(() => clusterOf(of({ 'drey.cluster': 'a.b' })), /drey\.cluster: "a\.b"/);
  const base = {
    'drey.cluster': 'a',
    'mesos.master': 'h:5050',
    'drey.zookeeper.quorum': 'h:2181',
    'drey.nats.servers': 'nats://h:4222',
  };
  const process = gatewaySettingsOf(of(base), machine, {});
  assert.equal(process.zookeeper.path, '/drey');
  assert.equal(process.artifacts.address, 'here');
  for (const key of ['mesos.master', 'drey.zookeeper.quorum', 'drey.nats.servers']) {
    const rest = Object.fromEntries(Object.entries(base).filter(([name]) => name !== key));
    assert.throws(() => gatewaySettingsOf(of(rest), machine, {}), new RegExp(`^.*${key}: is not`));
  }
  const below = of({ ...base, 'drey.zookeeper.path': '/flink/default/drey' });
  assert.throws(() => gatewaySettingsOf(below, machine, {}), /Flink deletes \/flink\/default/);
});

test('spec: what only tasks need is stored by name, and put into the ACCEPT by the gateway alone', () => {
  const made = (password: string, token: string) => {
    const ours = `http://10.0.0.1:9000/${token}/${'ab'.repeat(32)}/conf.tar`;
    const plain = settings({
      'containerized.taskmanager.env.DB_PASSWORD': password,
      [`${tasks}.uris`]: 'https://u:canary@files/x.jar',
    });
    const own = { value: ours, extract: true, executable: false, cache: true };
    const uris = [own, ...plain.task.uris];
    return withhold({ ...plain, task: { ...plain.task, uris } }, 'c', [ours]);
  };
  const { stored, complete } = made('canary-1', 'canary-token');
  assert.doesNotMatch(JSON.stringify(stored), /canary/);
  const name = stored.task.environment.DB_PASSWORD ?? '';
  assert.match(name, /^drey:withheld:[0-9a-f]{16}:DB_PASSWORD$/);
  assert.equal(stored.task.uris[0]?.value, `drey:withheld:${'ab'.repeat(32)}/conf.tar`);
  const accept = (value: string) => {
    const environment = { variables: [{ name: 'DB_PASSWORD', value }] };
    const command = { environment, uris: stored.task.uris.map((uri) => ({ value: uri.value })) };
    const info = { name: 't', task_id: { value: 't' }, agent_id: { value: 'a' }, command };
    const operations = [{ type: 'LAUNCH', launch: { task_infos: [info] } }] as const;
    return { type: 'ACCEPT', accept: { offer_ids: [{ value: 'o' }], operations } } as const;
  };
  const whole = complete(accept(name));
  assert.match(JSON.stringify(whole), /"canary-1".*canary-token.*u:canary@files/);
  assert.deepEqual(made('canary-1', 'other-token').stored, stored, 'the same on another gateway');
  assert.notEqual(made('canary-2', 'canary-token').stored.task.environment.DB_PASSWORD, name);
  assert.match(
    String(made('canary-2', 'x').complete(accept(name))),
    /DB_PASSWORD, which is not of this/,
  );
});
