import { type CallName, type DemandVerb, type Subjects, subjectsOf } from './subjects.ts';

/** Every function, each a user of NATS of its own. */
export const functionRoles = [
  'offers',
  'updates',
  'failures',
  'reconcile',
  'demand',
  'jobs',
  'admin',
  'explain',
] as const;
export type FunctionRole = (typeof functionRoles)[number];

/** Who speaks on the bus. `functions` is a process that runs several functions, or all of them. */
export const roles = [
  'gateway',
  ...functionRoles,
  'functions',
  'driver',
  'appmaster',
  'administrator',
  'reader',
] as const;
export type Role = (typeof roles)[number];

/** What a role may do on NATS: nothing besides. */
export interface Rights {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
  /** May answer, once, each message that it was sent. */
  readonly answers: boolean;
}

/** Where answers to a role arrive: every inbox of it begins so, and nobody else may listen there. */
export function inboxOf(cluster: string, role: Role): string {
  return `_INBOX.drey.${cluster}.${role}`;
}

/** The rights of every role of one cluster. @throws RangeError when the name cannot be a token of a subject. */
export function rightsOf(cluster: string): Readonly<Record<Role, Rights>> {
  const subjects = subjectsOf(cluster);
  const mine = (role: Role): string => `${inboxOf(cluster, role)}.>`;
  const bound = (role: Role, rights: Rights): Rights => ({
    ...rights,
    subscribe: [...rights.subscribe, mine(role)],
  });
  const each = functionRights(cluster, subjects);
  const ofFunctions = functionRoles.map((name) => [name, bound(name, each[name])] as const);
  const others = otherRights(subjects);
  return {
    ...(Object.fromEntries(ofFunctions) as Record<FunctionRole, Rights>),
    functions: bound('functions', union(Object.values(each))),
    gateway: bound('gateway', others.gateway),
    driver: bound('driver', others.driver),
    appmaster: bound('appmaster', others.appmaster),
    administrator: bound('administrator', others.administrator),
    reader: bound('reader', others.reader),
  };
}

const driverAsks: readonly DemandVerb[] = [
  'recover',
  'request',
  'release',
  'confirm',
  'deregister',
];

function otherRights(subjects: Subjects) {
  const logs = [subjects.everyDecision, subjects.everySetAside];
  const told = [subjects.tick, ...logs, subjects.everyChanged('worker')];
  const hints = [subjects.everyChanged('framework'), subjects.everyChanged('spec')];
  return {
    gateway: {
      publish: [subjects.everyEvent, subjects.tick],
      subscribe: [subjects.anyCall('*')],
      answers: true,
    },
    driver: {
      publish: driverAsks.map((verb) => subjects.demand(verb)),
      subscribe: [subjects.demand('launched'), subjects.demand('ended')],
      answers: false,
    },
    appmaster: { publish: [subjects.admin('teardown')], subscribe: [], answers: false },
    administrator: {
      publish: [subjects.everyAdmin, subjects.do('*'), subjects.ask('*'), '$SRV.>'],
      subscribe: [...told, ...hints],
      answers: false,
    },
    reader: { publish: [subjects.ask('*')], subscribe: [...told, ...hints], answers: false },
  } satisfies Partial<Record<Role, Rights>>;
}

/** What each function hears and does, besides what all of them do. */
function functionRights(cluster: string, subjects: Subjects): Record<FunctionRole, Rights> {
  const demand = (...verbs: readonly DemandVerb[]) => verbs.map((verb) => subjects.demand(verb));
  const own = (name: FunctionRole, hears: readonly string[], does: readonly string[]): Rights => ({
    publish: [
      subjects.decision(name),
      subjects.setAside(name),
      subjects.everyChanged('worker'),
      subjects.everyChanged('framework'),
      subjects.everyChanged('spec'),
      ...streams(subjects, name),
      ...does,
    ],
    subscribe: [subjects.tick, ...services(name), ...hears],
    answers: true,
  });
  const workers = subjects.everyChanged('worker');
  const spec = subjects.everyChanged('spec');
  const calls = (...names: readonly CallName[]): readonly string[] =>
    names.map((name) => subjects.anyCall(name));
  const { failure, subscribed, inverseOffers, operation, error, message } = subjects;
  return {
    offers: own(
      'offers',
      [subjects.offers, workers],
      [...calls('accept', 'decline', 'suppress', 'revive'), ...demand('launched')],
    ),
    updates: own(
      'updates',
      [subjects.everyUpdate, failure, inverseOffers, operation, error, message],
      calls('acknowledge', 'kill', 'decline-inverse-offers'),
    ),
    failures: own('failures', [workers, subjects.lapsed], calls('kill', 'reconcile')),
    reconcile: own('reconcile', [subscribed], calls('reconcile', 'kill')),
    demand: own(
      'demand',
      [...demand('recover', 'request', 'release', 'confirm'), workers, spec],
      [...calls('kill'), ...demand('launched', 'ended')],
    ),
    jobs: own(
      'jobs',
      [...demand('deregister'), subjects.everyChanged('framework')],
      calls('teardown'),
    ),
    admin: own(
      'admin',
      [subjects.do('*')],
      [
        ...calls('kill', 'teardown'),
        subjects.everyAdmin,
        // The copy that applies a command is not always the one that was asked.
        `${inboxOf(cluster, 'administrator')}.>`,
      ],
    ),
    explain: own('explain', [subjects.ask('*')], []),
  };
}

/** The micro service protocol: `nats micro ls`, `info`, `stats`. */
function services(name: FunctionRole): readonly string[] {
  return ['PING', 'INFO', 'STATS'].flatMap((word) => [
    `$SRV.${word}`,
    `$SRV.${word}.drey-${name}`,
    `$SRV.${word}.drey-${name}.*`,
  ]);
}

/** Every function makes sure of both streams at its start; only `admin` may change them, and read the commands. */
function streams({ adminStream, decisionStream }: Subjects, name: FunctionRole): readonly string[] {
  const api = (call: string): string => `$JS.API.${call}`;
  const both = [adminStream, decisionStream].flatMap((stream) => [
    api(`STREAM.INFO.${stream}`),
    api(`STREAM.CREATE.${stream}`),
    ...(name === 'admin' ? [api(`STREAM.UPDATE.${stream}`)] : []),
  ]);
  if (name === 'admin') {
    return [
      ...both,
      api(`CONSUMER.DURABLE.CREATE.${adminStream}.admin`),
      api(`CONSUMER.MSG.NEXT.${adminStream}.admin`),
      `$JS.ACK.${adminStream}.admin.>`,
    ];
  }
  if (name !== 'explain') return both;
  return [
    ...both,
    api(`CONSUMER.CREATE.${decisionStream}`),
    api(`CONSUMER.MSG.NEXT.${decisionStream}.*`),
  ];
}

function union(all: readonly Rights[]): Rights {
  const joined = (lists: readonly (readonly string[])[]) => [...new Set(lists.flat())];
  return {
    publish: joined(all.map(({ publish }) => publish)),
    subscribe: joined(all.map(({ subscribe }) => subscribe)),
    answers: true,
  };
}
