import type { Mesos } from '#gateway/mesos/mesos.ts';
import type { CallOutcome } from '#proto/messages.ts';
import type { Bus, BusMessage } from '#runtime/bus/bus.ts';
import { NoResponderError, RequestTimeoutError } from '#runtime/errors.ts';
import { storeLike } from '#runtime/store/like.ts';
import type { Store, Stored, StoreOp } from '#runtime/store/store.ts';

/** The same store, which writes something else than it was told. */
export function rewriting(store: Store, rewrite: (op: StoreOp) => StoreOp | undefined): Store {
  return storeLike(store, {
    commit: (ops) => store.commit(ops.map(rewrite).filter((op): op is StoreOp => op !== undefined)),
  });
}

/** The same store, which writes a part of each transaction apart from the rest. */
export function splitting(store: Store, part: string): Store {
  return storeLike(store, {
    commit: async (ops) => {
      const apart = ops.filter((op) => op.path.includes(part));
      await store.commit(ops.filter((op) => !op.path.includes(part)));
      await store.commit(apart);
    },
  });
}

/** The same store, which takes a transaction of checks alone for held. */
export function unchecked(store: Store): Store {
  return storeLike(store, {
    commit: (ops) =>
      ops.every((op) => op.kind === 'check') ? Promise.resolve() : store.commit(ops),
  });
}

/** The same store, which reads a node otherwise than it stands, and takes that back in what it writes. */
export function mistaking(
  store: Store,
  path: string,
  read: (data: string) => string,
  written: (data: string) => string,
): Store {
  const seen = (node: Stored | undefined): Stored | undefined =>
    node?.path === path ? { ...node, data: read(node.data) } : node;
  return storeLike(store, {
    read: async (at) => seen(await store.read(at)),
    watch: async (at, listener) => seen(await store.watch(at, listener)),
    commit: (ops) =>
      store.commit(
        ops.map((op) =>
          op.path === path && 'data' in op ? { ...op, data: written(op.data) } : op,
        ),
      ),
  });
}

/** The same bus, on which no answer means that nothing was done. */
export function doubtless(bus: Bus): Bus {
  return busLike(bus, {
    request: async (subject, data, options) => {
      try {
        const answer = await bus.request(subject, data, options);
        const text = new TextDecoder().decode(answer.data).replace('"unknown"', '"refused"');
        return { ...answer, data: new TextEncoder().encode(text) };
      } catch (error) {
        if (error instanceof RequestTimeoutError) throw new NoResponderError(subject);
        throw error;
      }
    },
  });
}

/** The same bus, on which a gateway hears the calls of every epoch. */
export function unfenced(bus: Bus): Bus {
  const every = (subject: string) => subject.replace(/\.call\.\d+\./, '.call.*.');
  return busLike(bus, {
    subscribe: (subject, queue, handle: (message: BusMessage) => void) =>
      bus.subscribe(every(subject), queue, handle),
  });
}

/** The same way to Mesos, on which a call without an answer counts as sent. */
export function confident(mesos: Mesos): Mesos {
  return {
    subscribe: (call, listener) => mesos.subscribe(call, listener),
    call: async (streamId, bytes, ordered): Promise<CallOutcome> => {
      const outcome = await mesos.call(streamId, bytes, ordered);
      return outcome.outcome === 'unknown' ? { outcome: 'sent', status: 202 } : outcome;
    },
  };
}

function busLike(bus: Bus, other: Partial<Pick<Bus, 'request' | 'subscribe'>>): Bus {
  return {
    publish: (subject, data, headers) => bus.publish(subject, data, headers),
    request: (subject, data, options) => bus.request(subject, data, options),
    subscribe: (subject, queue, handle) => bus.subscribe(subject, queue, handle),
    ensureStream: (options) => bus.ensureStream(options),
    append: (subject, data, headers) => bus.append(subject, data, headers),
    consume: (stream, durable, options, handle) => bus.consume(stream, durable, options, handle),
    replay: (stream, filter, count, handle) => bus.replay(stream, filter, count, handle),
    serve: (options) => bus.serve(options),
    get connected() {
      return bus.connected;
    },
    onConnection: (listener) => bus.onConnection(listener),
    close: () => bus.close(),
    ...other,
  };
}
