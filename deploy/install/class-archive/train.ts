import { copyFileSync, cpSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { archiveFolder, releaseOf } from '#deploy/appmaster/class-archive.ts';
import { flinkJars } from '#deploy/appmaster/flink-home.ts';
import { findJava, moduleFlags } from '#deploy/appmaster/java.ts';
import { freePort } from '#deploy/appmaster/network.ts';
import { Configuration } from '#runtime/config/configuration.ts';
import { runExample } from './example.ts';
import { Processes } from './processes.ts';

const loopback = '127.0.0.1';
const flinkPackage = 'org.apache.flink.runtime';
const taskManagerScript = join(import.meta.dirname, '../../bin/mesos-taskmanager.sh');

/** Sizes of a TaskManager that is only to show which classes it loads. */
const smallTaskManager: readonly string[] = [
  'taskmanager.cpu.cores=1.0',
  'taskmanager.memory.framework.heap.size=48m',
  'taskmanager.memory.task.heap.size=48m',
  'taskmanager.memory.framework.off-heap.size=16m',
  'taskmanager.memory.task.off-heap.size=0m',
  'taskmanager.memory.network.min=16m',
  'taskmanager.memory.network.max=16m',
  'taskmanager.memory.managed.size=0m',
  'taskmanager.memory.jvm-metaspace.size=96m',
  'taskmanager.memory.jvm-overhead.min=64m',
  'taskmanager.memory.jvm-overhead.max=64m',
];

/**
 * Runs the example job once, with a JobManager, a TaskManager and a ZooKeeper of its own, and keeps
 * in `<home>/class-archive` which classes the two loaded, laid out as a JVM maps them
 * (`-XX:ArchiveClassesAtExit`, Java 13 and newer). @throws Error when it did not work out.
 */
export async function train(home: string): Promise<void> {
  const java = findJava(new Configuration([], process.env), process.env);
  const release = releaseOf(java.path);
  if (java.version < 13 || release === undefined) {
    throw new Error(`${java.path} cannot make class archives; use a JDK 17`);
  }
  const scratch = await mkdtemp(`${home}.classes-`);
  const processes = new Processes(scratch);
  try {
    const run = { home, scratch, java: java.path, flags: moduleFlags(java), processes };
    await runOnce(run);
    const made = join(scratch, archiveFolder);
    mkdirSync(made);
    for (const name of ['jobmanager.jsa', 'taskmanager.jsa']) {
      await rename(join(scratch, name), join(made, name));
    }
    copyFileSync(release, join(made, 'release'));
    await rm(join(home, archiveFolder), { recursive: true, force: true });
    await rename(made, join(home, archiveFolder));
  } catch (error) {
    console.error(processes.lastWords());
    throw error;
  } finally {
    await processes.killAll();
    await rm(scratch, { recursive: true, force: true });
  }
}

interface Run {
  readonly home: string;
  readonly scratch: string;
  readonly java: string;
  readonly flags: readonly string[];
  readonly processes: Processes;
}

async function runOnce(run: Run): Promise<void> {
  const { home, scratch, java, flags, processes } = run;
  const [zookeeperPort, restPort] = [await freePort(loopback), await freePort(loopback)];
  const sandbox = layOut(run, zookeeperPort, restPort);
  const log = `-Dlog4j.configurationFile=file:${join(sandbox, 'conf/log4j-console.properties')}`;
  const classPath = flinkJars(home, 'fixed').join(':');
  processes.start('zookeeper', java, [
    ...['-Xmx64m', log, '-classpath', classPath],
    `${flinkPackage}.zookeeper.FlinkZooKeeperQuorumPeer`,
    ...['--zkConfigFile', join(scratch, 'zoo.cfg'), '--peerId', '1'],
  ]);
  const jobManager = processes.start('jobmanager', java, [
    ...['-Xmx256m', '-XX:+UseSerialGC', ...flags, log],
    `-XX:ArchiveClassesAtExit=${join(scratch, 'jobmanager.jsa')}`,
    ...['-classpath', classPath],
    `${flinkPackage}.entrypoint.StandaloneSessionClusterEntrypoint`,
    ...['--configDir', join(sandbox, 'conf')],
  ]);
  const taskManager = processes.start(
    'taskmanager',
    join(sandbox, 'bin/mesos-taskmanager.sh'),
    [],
    {
      cwd: sandbox,
      env: {
        PATH: process.env.PATH,
        JAVA_HOME: dirname(dirname(java)),
        FLINK_HOME: '.',
        MESOS_SANDBOX: sandbox,
        JVM_ARGS: `-Xmx128m -XX:+UseSerialGC -XX:ArchiveClassesAtExit=${join(scratch, 'taskmanager.jsa')}`,
        DREY_TASKMANAGER_PROPERTIES: smallTaskManager.join('\n'),
      },
    },
  );
  await runExample(`http://${loopback}:${restPort}`, exampleJar(home));
  // The archives are written when the JVMs end; the TaskManager's end shows how one is taken leave of.
  await taskManager.end();
  await jobManager.end();
}

/**
 * A sandbox as an agent has it. The gateway's archive carries no times, so the jars get time 0 in it,
 * and Java then holds an archive to the sizes of jars alone.
 */
function layOut(run: Run, zookeeperPort: number, restPort: number): string {
  const { home, scratch } = run;
  const sandbox = join(scratch, 'sandbox');
  cpSync(join(home, 'lib'), join(sandbox, 'lib'), { recursive: true });
  for (const name of readdirSync(join(sandbox, 'lib'))) {
    utimesSync(join(sandbox, 'lib', name), 0, 0);
  }
  mkdirSync(join(sandbox, 'bin'));
  copyFileSync(taskManagerScript, join(sandbox, 'bin', basename(taskManagerScript)));
  cpSync(join(home, 'conf'), join(sandbox, 'conf'), { recursive: true });
  const file = (name: string): string => `file://${join(scratch, name)}`;
  const settings = {
    'jobmanager.rpc.address': loopback,
    'jobmanager.bind-host': loopback,
    'rest.address': loopback,
    'rest.bind-address': loopback,
    'rest.port': restPort,
    'taskmanager.host': loopback,
    'taskmanager.bind-host': loopback,
    'taskmanager.numberOfTaskSlots': 2,
    'high-availability.type': 'zookeeper',
    'high-availability.zookeeper.quorum': `${loopback}:${zookeeperPort}`,
    'high-availability.cluster-id': '/class-archive',
    'high-availability.storageDir': file('ha'),
    'execution.checkpointing.interval': '300 ms',
    'execution.checkpointing.dir': file('checkpoints'),
    'web.upload.dir': join(scratch, 'upload'),
    'web.refresh-interval': 100,
    'io.tmp.dirs': join(scratch, 'tmp'),
  };
  const lines = Object.entries(settings).map(([key, value]) => `${key}: ${value}\n`);
  writeFileSync(join(sandbox, 'conf/config.yaml'), lines.join(''));
  const zookeeper = [
    'tickTime=2000',
    `dataDir=${join(scratch, 'zookeeper')}`,
    `clientPort=${zookeeperPort}`,
    `clientPortAddress=${loopback}`,
    'admin.enableServer=false\n',
  ];
  writeFileSync(join(scratch, 'zoo.cfg'), zookeeper.join('\n'));
  return sandbox;
}

function exampleJar(home: string): string {
  const [jar] = readdirSync(join(home, 'examples'));
  if (jar === undefined) throw new Error(`there are no examples in ${home}`);
  return join(home, 'examples', jar);
}
