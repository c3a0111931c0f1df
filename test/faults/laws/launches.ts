import { type Law, taken } from './law.ts';

export const launchedOnce: Law = {
  name: 'no worker is launched twice',
  check: (evidence, found) => {
    const named = new Map<string, number>();
    for (const { tasks = [], at } of taken(evidence, 'ACCEPT')) {
      for (const id of tasks) {
        found.looked();
        const before = named.get(id);
        // Mesos refuses the id of a task that lives; an ACCEPT that counts on that is a second launch.
        if (before !== undefined) found.broken(`${id} is in the ACCEPTs at ${before} and ${at}`);
        named.set(id, at);
      }
    }
    for (const [id, count] of Object.entries(evidence.end.launches)) {
      if (count > 1) found.broken(`the master has launched ${id} ${count} times`);
    }
  },
};

export const decidedFirst: Law = {
  name: 'no launch before its transaction',
  check: (evidence, found) => {
    for (const { tasks = [], offers = [], at } of taken(evidence, 'ACCEPT')) {
      for (const id of tasks) {
        found.looked();
        const decided = evidence.past.upTo(id, at).flatMap(({ value }) => value?.launch ?? []);
        const same = decided.some((launch) => launch.offerIds.join() === offers.join());
        if (decided.length === 0)
          found.broken(`${id} was launched at ${at}, and not decided by then`);
        else if (!same) found.broken(`${id} was launched at ${at} on offers that were not chosen`);
      }
    }
  },
};

export const offersOnce: Law = {
  name: 'no offer is used twice',
  check: (evidence, found) => {
    const used = new Map<string, number>();
    for (const { offers = [], at } of taken(evidence, 'ACCEPT')) {
      for (const id of offers) {
        found.looked();
        const before = used.get(id);
        if (before !== undefined) found.broken(`offer ${id} is accepted at ${before} and ${at}`);
        used.set(id, at);
      }
    }
  },
};

/** A launch that was decided in an epoch goes out over the subscription of that epoch alone. */
export const ownEpoch: Law = {
  name: 'no call after its epoch is over',
  check: (evidence, found) => {
    const streams = taken(evidence, 'SUBSCRIBE').map(({ stream }) => stream);
    let newest = { epoch: 0, position: -1 };
    for (const { tasks = [], stream, at } of taken(evidence, 'ACCEPT')) {
      const position = streams.indexOf(stream);
      for (const id of tasks) {
        const launch = evidence.past
          .upTo(id, at)
          .findLast(({ value }) => value?.launch !== undefined)?.value?.launch;
        if (launch === undefined) continue;
        found.looked();
        const { epoch } = launch;
        const sameStream = position === newest.position;
        if (position < newest.position || epoch < newest.epoch) {
          found.broken(
            `${id} of epoch ${epoch} was launched at ${at}, after epoch ${newest.epoch}`,
          );
        } else if (newest.position >= 0 && sameStream !== (epoch === newest.epoch)) {
          found.broken(
            `${id} of epoch ${epoch} went over the subscription of another epoch at ${at}`,
          );
        }
        newest = { epoch, position };
      }
    }
  },
};

export const epochsRise: Law = {
  name: 'each subscription has an epoch of its own, and epochs only rise',
  check: (evidence, found) => {
    const { framework } = evidence.past;
    let last = 0;
    for (const { value } of framework) {
      const epoch = value?.epoch ?? last;
      found.looked();
      if (epoch < last) found.broken(`epoch ${epoch} follows ${last}`);
      last = epoch;
    }
    for (const [n, { at }] of taken(evidence, 'SUBSCRIBE').entries()) {
      const raised = framework.findLast((version) => version.at <= at)?.value?.epoch ?? 0;
      if (raised < n + 1) found.broken(`subscription ${n + 1} came at ${at}, in epoch ${raised}`);
    }
  },
};

/** To ask once more whether it is gone is no registration: the master answers that with an ERROR. */
export const oneFramework: Law = {
  name: 'the framework keeps its id, and an ended one never registers again',
  check: (evidence, found) => {
    const recorded = new Set(evidence.past.framework.map(({ value }) => value?.id));
    let ended: number | undefined;
    for (const { call, event, framework, at, status } of evidence.transcript) {
      if (call !== undefined) {
        found.looked();
        if (!recorded.has(framework)) found.broken(`${call} at ${at} names ${framework}`);
      }
      if (call === 'TEARDOWN' && status === 202) ended = at;
      if (event === 'SUBSCRIBED' && ended !== undefined) {
        found.broken(`${framework} is registered at ${at}, after the TEARDOWN at ${ended}`);
      }
    }
    if (recorded.size !== 1) found.broken(`${recorded.size} framework ids were stored, not one`);
  },
};
