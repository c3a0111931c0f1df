import { createClient } from 'node-zookeeper-client';

/** Every node below `root`, with what it holds and who may do anything with it. */
export interface Node {
  readonly path: string;
  readonly data: string;
  /** `scheme:id:permissions`, one for each entry of its ACL. */
  readonly acl: readonly string[];
}

/** Walks a ZooKeeper as the holder of a digest credential sees it. */
export async function nodesBelow(
  servers: string,
  root: string,
  credential: string,
): Promise<readonly Node[]> {
  const client = createClient(servers, { retries: 0 });
  const connected = new Promise<void>((resolve) => client.once('connected', resolve));
  client.addAuthInfo('digest', Buffer.from(credential));
  client.connect();
  await connected;
  const call = <T>(ask: (done: (error: unknown, value: T) => void) => void): Promise<T> =>
    new Promise((resolve, reject) => {
      ask((error, value) => (error ? reject(error) : resolve(value)));
    });
  const found: Node[] = [];
  const walk = async (path: string): Promise<void> => {
    const data = await call<Buffer | undefined>((done) => client.getData(path, done));
    const entries = await call<readonly AclEntry[]>((done) =>
      client.getACL(path, (error, acls) => done(error, acls as unknown as readonly AclEntry[])),
    );
    const acl = entries.map(({ permission, id }) => `${id.scheme}:${id.id}:${permission}`);
    found.push({ path, data: data?.toString() ?? '', acl });
    const children = await call<readonly string[]>((done) => client.getChildren(path, done));
    for (const child of children) await walk(path === '/' ? `/${child}` : `${path}/${child}`);
  };
  try {
    await walk(root);
  } finally {
    client.close();
  }
  return found;
}

interface AclEntry {
  readonly permission: number;
  readonly id: { readonly scheme: string; readonly id: string };
}
