import { recordPathsOf } from '#proto/records.ts';
import type { StoreOp } from '#runtime/store/store.ts';
import type { Kind, Profile } from '../faults/plan.ts';
import type { Variant } from '../simulate.ts';
import { narrow } from '../versions.ts';
import {
  deafToReconciliation,
  early,
  forgetful,
  killsStrangers,
  mute,
  reusing,
  straysEnd,
  suppressLast,
  without,
} from './functions.ts';
import {
  confident,
  doubtless,
  mistaking,
  rewriting,
  splitting,
  unchecked,
  unfenced,
} from './seams.ts';

/** A wrong variant of the product, made by wrapping its seams, and the faults that show it. */
export const variants: Readonly<Record<string, Variant>> = {
  'ACCEPT before the transaction': {
    tampering: { define: early('offers', 'accept') },
    profile: under('demand'),
  },
  'acknowledge before storing': {
    tampering: { define: early('updates', 'acknowledge') },
    profile: under('demand', 'crash'),
  },
  'version check dropped': {
    tampering: { store: (store) => rewriting(store, anyVersion) },
    profile: under('bus doubling', 'demand', 'driver twice'),
  },
  'read barrier dropped': {
    tampering: { store: (store, name) => (name === 'updates' ? unchecked(store) : store) },
    profile: under('store lag', 'store cut', 'demand'),
  },
  'id reused': {
    tampering: { define: reusing },
    profile: under('task fails', 'demand'),
  },
  'reconciliation answer missed': {
    tampering: { define: deafToReconciliation },
    profile: under('agent lost', 'master failover', 'bus loss', 'bus restart'),
  },
  'never reconciled': {
    tampering: { define: mute('reconcile') },
    profile: under('agent lost', 'master failover', 'bus loss', 'bus restart'),
  },
  'KILL not repeated': {
    tampering: { define: without('failures', 'kill') },
    profile: under('agent loss', 'demand'),
  },
  'unknown task always killed': {
    tampering: { define: killsStrangers },
    profile: under('mesos doubt', 'agent loss', 'demand'),
  },
  'unknown tasks left alone': {
    tampering: { define: without('updates', 'kill') },
    profile: under('store restored', 'mesos doubt', 'demand'),
  },
  'calls not fenced by epoch': {
    tampering: { bus: (bus, name) => (name === 'gateway' ? unfenced(bus) : bus) },
    profile: under('mesos cut', 'store lag', 'master failover', 'demand'),
  },
  'unknown outcome taken as failure': {
    tampering: { bus: (bus, name) => (name === 'offers' ? doubtless(bus) : bus) },
    profile: under('mesos doubt', 'demand'),
  },
  'unknown outcome taken as success': {
    tampering: { mesos: confident },
    profile: under('mesos doubt', 'demand'),
  },
  'INVALID_OFFERS ends a running worker': {
    tampering: { define: straysEnd },
    profile: under('mesos doubling', 'demand'),
  },
  'waiting index outside the transaction': {
    tampering: { store: (store) => splitting(store, '/waiting/') },
    profile: under('crash', 'store cut', 'store outage', 'demand'),
  },
  'driver repeat makes a second worker': {
    tampering: {
      define: forgetful,
      store: (store, name) => (name === 'demand' ? rewriting(store, noRequests) : store),
    },
    profile: under('bus loss', 'demand'),
  },
  'REVIVE forgotten': {
    tampering: { define: without('offers', 'revive') },
    profile: under('demand'),
  },
  'SUPPRESS after REVIVE': {
    tampering: { define: suppressLast },
    profile: under('demand', 'task fails'),
  },
  'end not told to the driver': {
    tampering: { define: without('demand', 'ended') },
    profile: under('task fails'),
  },
  'removed framework registers again while ending': {
    tampering: {
      store: (store, name) =>
        name === 'gateway' ? mistaking(store, framework, lives, ends) : store,
    },
    profile: under('end', 'bus loss', 'mesos cut', 'master failover'),
  },
  'fields of a newer version dropped': {
    tampering: { store: (store) => rewriting(store, narrow) },
    profile: under('demand'),
  },
};

const { framework } = recordPathsOf('/drey', 'sim');

/** These faults, often, and no others. */
function under(...certain: readonly Kind[]): Profile {
  return { certain, only: true };
}

function noRequests(op: StoreOp): StoreOp | undefined {
  return op.path.includes('/requests/') ? undefined : op;
}

function anyVersion(op: StoreOp): StoreOp {
  return 'version' in op ? { ...op, version: -1 } : op;
}

const ending = '"state":"ending"';
const active = '"state":"active"';
/** A gateway that takes an ending cluster for a living one, and marks it so that others still see it end. */
const lives = (data: string) =>
  data.includes(ending) ? data.replace(ending, `${active},"ends":true`) : data;
const ends = (data: string) =>
  data.includes('"ends":true') ? data.replace(active, ending).replace(',"ends":true', '') : data;
