/** One ZooKeeper server. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

const one = /^(?:\[(?<six>[0-9A-Fa-f:.]+)\]|(?<name>[^:[\]\s/]+))(?::(?<port>\d{1,5}))?$/;

/**
 * Reads `host:port,host:port`; the port is 2181 where it is missing, IPv6 stands in brackets.
 * @throws RangeError naming the part that is wrong.
 */
export function parseServers(text: string): readonly ServerAddress[] {
  const parts = text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  if (parts.length === 0) throw new RangeError('the list of ZooKeeper servers is empty');
  return parts.map((part) => {
    const groups = one.exec(part)?.groups;
    const host = groups?.six ?? groups?.name;
    const port = Number(groups?.port ?? 2181);
    if (host === undefined || port < 1 || port > 65_535) {
      throw new RangeError(`"${part}" is not a ZooKeeper server: expected host:port`);
    }
    return { host, port };
  });
}

/**
 * Checks the folder below which all paths lie, and gives it without a closing slash ('' for the root).
 * @throws RangeError when it is no absolute path.
 */
export function parseChroot(text: string | undefined): string {
  const path = (text ?? '').replace(/\/+$/, '');
  if (path !== '' && !/^(\/[^/\s]+)+$/.test(path)) {
    throw new RangeError(`"${text}" is not an absolute ZooKeeper path`);
  }
  return path;
}
