import type { MasterInfo } from '#proto/mesos/types.ts';
import type { MasterOptions } from './state.ts';

/** The version that the local Mesos claims: the one whose behaviour was recorded. */
export const mesosVersion = '1.12.0';

/** What a master says of itself, on streams and in ZooKeeper. */
export function masterInfo(
  options: Pick<MasterOptions, 'masterId' | 'ip' | 'port' | 'hostname'>,
): MasterInfo {
  const { masterId, ip, port, hostname } = options;
  return {
    id: masterId,
    ip: networkOrder(ip),
    port,
    pid: `master@${ip}:${port}`,
    hostname,
    version: mesosVersion,
    address: { hostname, ip, port },
    capabilities: [{ type: 'AGENT_UPDATE' }, { type: 'AGENT_DRAINING' }, { type: 'QUOTA_V2' }],
  };
}

/** MasterInfo.ip holds the address' four bytes as they travel, read as a little-endian number. */
function networkOrder(ip: string): number {
  const bytes = ip.split('.').map(Number);
  return bytes.reduce((sum, byte, n) => sum + byte * 256 ** n, 0);
}
