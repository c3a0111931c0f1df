import { createConnection } from 'node:net';

/** `ready`: Flink's REST server answers as the leader. `standby`: it answers, another leads. */
export type RestState = 'away' | 'standby' | 'ready';

const timeoutMs = 2000;

/** Asks Flink's REST server once. Behind TLS only the port is looked at: its certificate may be anyone's. */
export async function restState(url: string): Promise<RestState> {
  const { protocol, hostname, port } = new URL(url);
  if (protocol === 'https:') return (await listens(hostname, Number(port))) ? 'ready' : 'away';
  try {
    const answer = await fetch(`${url}/overview`, { signal: AbortSignal.timeout(timeoutMs) });
    await answer.body?.cancel();
    return answer.ok ? 'ready' : 'standby';
  } catch {
    // Nobody listens yet, or not in time: the caller asks again.
    return 'away';
  }
}

function listens(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host, port });
    const finish = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(timeoutMs, () => finish(false));
    socket.once('error', () => finish(false));
    socket.once('connect', () => finish(true));
  });
}
