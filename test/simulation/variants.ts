import type { AnyFunction } from '#functions/all.ts';
import type { Effect } from '#functions/shared/effect.ts';
import type { Bus } from '#runtime/bus/bus.ts';
import { NoResponderError, RequestTimeoutError } from '#runtime/errors.ts';
import type { Store, StoreOp } from '#runtime/store/store.ts';
import type { Variant } from './simulate.ts';

/** A wrong variant of the product, made by wrapping its seams: the laws must catch each. */
export const variants: Readonly<Record<string, Variant>> = {
  'ACCEPT before the transaction': { tampering: { define: early('offers', 'accept') } },
  'acknowledge before storing': { tampering: { define: early('updates', 'acknowledge') } },
  'version check dropped': {
    tampering: { store: (store) => rewriting(store, anyVersion) },
    faults: ['bus doubling', 'demand'],
  },
  'unknown outcome taken as failure': {
    tampering: { bus: (bus, name) => (name === 'offers' ? doubtless(bus) : bus) },
    faults: ['mesos doubt', 'demand'],
  },
  'KILL not repeated': {
    tampering: { define: without('failures', 'kill') },
    faults: ['agent loss', 'demand'],
  },
  'waiting index outside the transaction': {
    tampering: { store: (store) => splitting(store, '/waiting/') },
    faults: ['crash', 'store cut', 'demand'],
  },
  'driver repeat makes a second worker': {
    tampering: {
      define: forgetful,
      store: (store, name) => (name === 'demand' ? rewriting(store, noRequests) : store),
    },
    faults: ['bus loss'],
  },
  'REVIVE forgotten': { tampering: { define: without('offers', 'revive') } },
  'end not told to the driver': {
    tampering: { define: without('demand', 'ended') },
    faults: ['task fails'],
  },
  'never reconciled': {
    tampering: { define: mute('reconcile') },
    faults: ['agent lost', 'master failover', 'bus loss'],
  },
  'unknown tasks left alone': {
    tampering: { define: without('updates', 'kill') },
    faults: ['mesos doubt', 'demand'],
  },
};

/** Performs effects of a kind as soon as they are decided, before anything is written. */
function early(name: string, kind: Effect['kind']): (definition: AnyFunction) => AnyFunction {
  return (definition) =>
    definition.name === name
      ? {
          ...definition,
          decide: (state, events, moment) => {
            const decision = definition.decide(state, events, moment);
            for (const effect of decision.effects) {
              if (effect.kind === kind) definition.perform(effect).catch(() => undefined);
            }
            return {
              ...decision,
              effects: decision.effects.filter((effect) => effect.kind !== kind),
            };
          },
        }
      : definition;
}

function without(name: string, kind: Effect['kind']): (definition: AnyFunction) => AnyFunction {
  return (definition) =>
    definition.name === name
      ? {
          ...definition,
          perform: async (effect) => (effect.kind === kind ? [] : definition.perform(effect)),
        }
      : definition;
}

function mute(name: string): (definition: AnyFunction) => AnyFunction {
  return (definition) =>
    definition.name === name
      ? { ...definition, decide: () => ({ writes: [], effects: [], reasons: [] }) }
      : definition;
}

/** Knows no request that it has served before. */
function forgetful(definition: AnyFunction): AnyFunction {
  if (definition.name !== 'demand') return definition;
  return {
    ...definition,
    load: async (store, events) => ({
      ...(await definition.load(store, events)),
      requests: new Map(),
    }),
  };
}

function noRequests(op: StoreOp): StoreOp | undefined {
  return op.path.includes('/requests/') ? undefined : op;
}

function anyVersion(op: StoreOp): StoreOp {
  return 'version' in op ? { ...op, version: -1 } : op;
}

/** The same store, which writes something else than it was told. */
function rewriting(store: Store, rewrite: (op: StoreOp) => StoreOp | undefined): Store {
  return wrapped(store, (ops) =>
    store.commit(ops.map(rewrite).filter((op): op is StoreOp => op !== undefined)),
  );
}

/** The same store, which writes a part of each transaction apart from the rest. */
function splitting(store: Store, part: string): Store {
  return wrapped(store, async (ops) => {
    const apart = ops.filter((op) => op.path.includes(part));
    await store.commit(ops.filter((op) => !op.path.includes(part)));
    await store.commit(apart);
  });
}

function wrapped(store: Store, commit: Store['commit']): Store {
  return {
    read: (path) => store.read(path),
    list: (path) => store.list(path),
    commit,
    ensure: (path) => store.ensure(path),
    createEphemeralSequential: (prefix, data) => store.createEphemeralSequential(prefix, data),
    discard: (path) => store.discard(path),
    watch: (path, listener) => store.watch(path, listener),
    onSession: (listener) => store.onSession(listener),
    get session() {
      return store.session;
    },
    get sessionTimeoutMs() {
      return store.sessionTimeoutMs;
    },
    get lastContact() {
      return store.lastContact;
    },
    close: () => store.close(),
  };
}

/** The same bus, on which no answer means that nothing was done. */
function doubtless(bus: Bus): Bus {
  return {
    publish: (subject, data, headers) => bus.publish(subject, data, headers),
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
  };
}
