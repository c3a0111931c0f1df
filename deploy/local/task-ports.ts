import { isFree } from '#deploy/appmaster/network.ts';

/** Above the ports that drey chooses for itself, below those that the kernel gives away. */
const lowest = 31_000;
const highest = 32_767;

/** The first of that many ports of loopback in a row, none of which is used. @throws Error */
export async function firstTaskPort(count: number): Promise<number> {
  for (let first = lowest; first + count - 1 <= highest; first += count) {
    const ports = Array.from({ length: count }, (_, n) => first + n);
    const free = await Promise.all(ports.map((port) => isFree(port, '127.0.0.1')));
    if (free.every(Boolean)) return first;
  }
  throw new Error(
    `no ${count} ports in a row from ${lowest} to ${highest} are free for tasks; end another stack`,
  );
}
