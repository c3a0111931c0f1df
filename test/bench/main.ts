import { availableParallelism, cpus } from 'node:os';
import { inWorld } from '#test/world/world.ts';
import { measureAccept } from './accept.ts';
import { benchDecode } from './decode.ts';
import { latencyRow, percentile, printTable, ratioRow } from './figures.ts';
import { measureFleet } from './fleet.ts';
import { measureFloor } from './floor.ts';

const quick = process.argv.includes('--quick');
const unknown = process.argv.slice(2).filter((argument) => argument !== '--quick');
if (unknown.length > 0) {
  console.error(`bench: unknown argument ${unknown.join(' ')}; there is --quick`);
  process.exit(1);
}

console.log(
  `bench (${quick ? 'quick' : 'full'}) on ${availableParallelism()} cores, ` +
    `${cpus()[0]?.model ?? 'unknown processor'}, node ${process.version}; ` +
    'one ZooKeeper without fsync and one nats-server on loopback',
);

printTable('decode of an OFFERS event of 100 offers (protobuf)', benchDecode(quick ? 100 : 500));

await inWorld(async (world) => {
  const rounds = quick ? 200 : 1000;
  const floor = await measureFloor(world, rounds);
  const accept = await measureAccept(world, rounds);
  printTable('offer in -> ACCEPT out (gateway, bus, functions, store, bus, gateway)', [
    latencyRow('two bus hops + one ZooKeeper transaction', floor.hopsAndTransaction),
    latencyRow('offer in -> ACCEPT out', accept),
    ratioRow('ratio of p50', percentile(accept, 0.5) / percentile(floor.hopsAndTransaction, 0.5)),
    ratioRow('ratio of p99', percentile(accept, 0.99) / percentile(floor.hopsAndTransaction, 0.99)),
  ]);
  const fleet = await measureFleet(world, 500);
  const perSecond = fleet.workers / fleet.launchedSeconds;
  printTable('workers wanted -> launched, 500 workers on 100 simulated agents', [
    { what: 'until the last is launched', value: `${fleet.launchedSeconds.toFixed(2)} s` },
    { what: 'until the last runs', value: `${fleet.runningSeconds.toFixed(2)} s` },
    { what: 'launched per second', value: perSecond.toFixed(0) },
    { what: 'raw transactions per second, one by one', value: floor.oneByOne.toFixed(0) },
    { what: 'raw transactions per second, 64 at a time', value: floor.pipelined.toFixed(0) },
    ratioRow('launches per raw transaction one by one', perSecond / floor.oneByOne),
    ratioRow('launches per raw transaction 64 at a time', perSecond / floor.pipelined),
  ]);
});
