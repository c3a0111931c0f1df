import { isDeepStrictEqual } from 'node:util';
import { type FleetRecord, fleetRecord, recordFolders } from '#proto/records.ts';
import { type ClusterSettings, type SpecRecord, specRecord } from '#proto/spec.ts';
import { sleep } from '#runtime/clock.ts';
import { StaleRecordError, StoreOutcomeUnknownError } from '#runtime/errors.ts';
import { createOf, replaceOf } from '#runtime/store/ops.ts';
import { readRecord } from '#runtime/store/records.ts';
import { type GatewaySurroundings, randomHex } from './surroundings.ts';

type Part = Pick<
  GatewaySurroundings,
  'store' | 'clock' | 'random' | 'paths' | 'id' | 'settings' | 'log'
>;

/**
 * Makes folders and the fleet where they are missing, and lays the present configuration into `spec`,
 * as long as `leads` says so: who leads no more must not write over its successor's.
 * @throws StoreUnavailableError
 */
export async function prepareRecords(part: Part, leads: () => boolean): Promise<void> {
  const { store, paths } = part;
  for (const folder of recordFolders(paths)) await store.ensure(folder);
  await untilStored(part, leads, async () => {
    if ((await readRecord(store, paths.fleet, fleetRecord)) !== undefined) return true;
    const fleet: FleetRecord = { v: 1, op: opOf(part), counter: 0 };
    await store.commit([createOf(paths.fleet, fleet)]);
    return true;
  });
  await untilStored(part, leads, () => refreshSpec(part));
}

/** Only `configured` is ours; overrides last. The same settings make no new generation. */
async function refreshSpec(part: Part): Promise<boolean> {
  const { store, paths, settings, log } = part;
  const at = await readRecord(store, paths.spec, specRecord);
  const op = opOf(part);
  if (at === undefined) {
    const cluster = paths.base.slice(paths.base.lastIndexOf('/') + 1);
    const first: SpecRecord = {
      v: 1,
      op,
      generation: 1,
      cluster,
      configured: settings,
      overrides: {},
    };
    await store.commit([createOf(paths.spec, first)]);
    return true;
  }
  if (sameSettings(at.value.configured, settings)) return true;
  const generation = at.value.generation + 1;
  await store.commit([replaceOf(at, { ...at.value, op, generation, configured: settings })]);
  log.info({ generation }, 'the configuration differs from the stored one: a new generation');
  return true;
}

/** Compared as JSON, which is what is stored: undefined and missing are the same in it. */
export function sameSettings(one: ClusterSettings, other: ClusterSettings): boolean {
  return isDeepStrictEqual(JSON.parse(JSON.stringify(one)), JSON.parse(JSON.stringify(other)));
}

/** Settings without what belongs to one gateway's machine: what a standby must agree on. */
export function sharedSettings(settings: ClusterSettings): ClusterSettings {
  const { webuiUrl: _webuiUrl, ...framework } = settings.framework;
  return {
    ...settings,
    framework: { ...framework, hostname: '' },
    task: { ...settings.task, uris: [] },
  };
}

/** Repeats after a lost race; a write of unknown outcome is read back by the repeat itself. */
async function untilStored(
  part: Part,
  leads: () => boolean,
  write: () => Promise<boolean>,
): Promise<void> {
  while (leads()) {
    try {
      if (await write()) return;
    } catch (error) {
      const race = error instanceof StaleRecordError || error instanceof StoreOutcomeUnknownError;
      if (!race) throw error;
    }
    await sleep(part.clock, 50);
  }
}

function opOf(part: Part): string {
  return `${part.id}-${randomHex(part.random, 8)}`;
}
