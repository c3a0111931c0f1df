import { type Configuration, wrongValue } from '#runtime/config/configuration.ts';
import { ConfigurationError } from '#runtime/errors.ts';
import { configured } from './effective.ts';
import { anyAddress, freePort, isFree } from './network.ts';
import type { Plan } from './plan.ts';

/** One of Flink's listeners: the port that others connect to, and where it listens instead. */
interface Listener {
  readonly key: string;
  readonly otherwise: number;
  /** Ports and ranges, of which Flink takes the first free one. */
  readonly bindKey: string;
  readonly hostKey: string;
}

const rest: Listener = {
  key: 'rest.port',
  otherwise: 8081,
  bindKey: 'rest.bind-port',
  hostKey: 'rest.bind-address',
};
const rpc: Listener = {
  key: 'jobmanager.rpc.port',
  otherwise: 6123,
  bindKey: 'jobmanager.rpc.bind-port',
  hostKey: 'jobmanager.bind-host',
};

/**
 * The ports of Flink's JobManager: a free one in place of 0 or a range, so that all know it; a busy
 * one is told before anything starts. @throws ConfigurationError
 */
export async function choosePorts(
  plan: Plan,
  configuration: Configuration,
  advertised: string,
): Promise<ReadonlyMap<string, string>> {
  const settings = configured(configuration, advertised);
  const chosen = new Map<string, string>();
  for (const listener of plan.flinkHa ? [rest] : [rest, rpc]) {
    const host = String(settings.get(listener.hostKey) ?? anyAddress);
    await choose(chosen, configuration, listener, host);
  }
  return chosen;
}

async function choose(
  chosen: Map<string, string>,
  configuration: Configuration,
  { key, otherwise, bindKey }: Listener,
  host: string,
): Promise<void> {
  const port = configuration.port(key) ?? otherwise;
  const ranges = rangesOf(configuration, bindKey);
  const bound =
    ranges === undefined
      ? await firstFree(key, [[port, port]], host)
      : await firstFree(bindKey, ranges, host);
  if (ranges !== undefined) chosen.set(bindKey, String(bound));
  chosen.set(key, String(port === 0 || ranges === undefined ? bound : port));
}

type Range = readonly [from: number, to: number];

/** As Flink reads them: `8081`, `8081-8090`, several by commas. @throws ConfigurationError */
function rangesOf(configuration: Configuration, key: string): readonly Range[] | undefined {
  const setting = configuration.setting(key);
  return setting?.value.split(',').map((text): Range => {
    const [, first, last = first] = /^\s*(\d+)\s*(?:-\s*(\d+)\s*)?$/.exec(text) ?? [];
    const [from, to] = [Number(first), Number(last)];
    if (first === undefined || from > to || to > 65_535) {
      throw wrongValue(
        setting,
        'allowed are ports and ranges such as 8081-8090, several by commas',
      );
    }
    return [from, to];
  });
}

async function firstFree(key: string, ranges: readonly Range[], host: string): Promise<number> {
  for (const [from, to] of ranges) {
    for (let port = from; port <= to; port++) {
      if (port === 0) return freePort(host);
      if (await isFree(port, host)) return port;
    }
  }
  const shown = ranges.map(([from, to]) => (from === to ? from : `${from}-${to}`)).join(',');
  throw new ConfigurationError(key, `port ${shown} is in use; stop what uses it or set ${key}`);
}
