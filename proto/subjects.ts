/** Every subject of one cluster, `drey.<cluster>.…`; the one place where they are spelled. */
export interface Subjects {
  /** All that the gateway tells of Mesos. */
  readonly everyEvent: string;
  readonly offers: string;
  /** Offers that nobody used in time: no ACCEPT that names one was sent, or ever will be. */
  readonly lapsed: string;
  update(taskId: string): string;
  readonly everyUpdate: string;
  readonly failure: string;
  readonly subscribed: string;
  readonly inverseOffers: string;
  readonly operation: string;
  readonly error: string;
  readonly message: string;
  call(epoch: number, type: CallName): string;
  everyCall(epoch: number): string;
  /** One kind of call, whatever the epoch. */
  anyCall(type: CallName | '*'): string;
  changed(record: RecordKind, id: string): string;
  everyChanged(record: RecordKind): string;
  readonly tick: string;
  demand(verb: DemandVerb): string;
  /** Commands that are kept while nobody runs: `nats pub`. */
  admin(command: string): string;
  readonly everyAdmin: string;
  /** The same commands with an answer: `nats req`. */
  do(command: string): string;
  ask(question: string): string;
  decision(functionName: string): string;
  readonly everyDecision: string;
  /** What a function set aside. */
  setAside(functionName: string): string;
  readonly everySetAside: string;
  /** Name of the stream that keeps `admin.*`. */
  readonly adminStream: string;
  /** Name of the stream that keeps `decision.*` and `set-aside.*`. */
  readonly decisionStream: string;
}

/** The scheduler calls that functions send through the gateway, by their Mesos names in lower case. */
export const callNames = [
  'accept',
  'decline',
  'suppress',
  'revive',
  'kill',
  'acknowledge',
  'reconcile',
  'teardown',
  'decline-inverse-offers',
] as const;
export type CallName = (typeof callNames)[number];

/** The records whose changes are told as hints. */
export type RecordKind = 'worker' | 'framework' | 'spec';

/** Driver to function: `recover`, `request`, `release`, `confirm`, `deregister`. Function to driver: `launched`, `ended`. */
export type DemandVerb =
  | 'recover'
  | 'request'
  | 'release'
  | 'confirm'
  | 'deregister'
  | 'launched'
  | 'ended';

/** Header names on the bus. */
export const header = {
  /** The epoch in which an event was heard. */
  epoch: 'Drey-Epoch',
  /** The position of an event in its epoch. */
  sequence: 'Drey-Sequence',
  /** Where the answer to a stored command goes. */
  replyTo: 'Drey-Reply-To',
  trace: 'traceparent',
} as const;

const clusterName = /^[A-Za-z0-9_-]{1,64}$/;

/** @throws RangeError when the name cannot be a token of a subject. */
export function subjectsOf(cluster: string): Subjects {
  if (!clusterName.test(cluster)) {
    throw new RangeError(
      `cluster name "${cluster}" may hold letters, digits, - and _ only (1 to 64)`,
    );
  }
  const base = `drey.${cluster}`;
  return {
    everyEvent: `${base}.event.>`,
    offers: `${base}.event.offers`,
    lapsed: `${base}.event.lapsed`,
    update: (taskId) => `${base}.event.update.${token(taskId)}`,
    everyUpdate: `${base}.event.update.*`,
    failure: `${base}.event.failure`,
    subscribed: `${base}.event.subscribed`,
    inverseOffers: `${base}.event.inverse-offers`,
    operation: `${base}.event.operation`,
    error: `${base}.event.error`,
    message: `${base}.event.message`,
    call: (epoch, type) => `${base}.call.${epoch}.${type}`,
    everyCall: (epoch) => `${base}.call.${epoch}.*`,
    anyCall: (type) => `${base}.call.*.${type}`,
    changed: (record, id) => `${base}.changed.${record}.${token(id)}`,
    everyChanged: (record) => `${base}.changed.${record}.*`,
    tick: `${base}.tick`,
    demand: (verb) => `${base}.demand.${verb}`,
    admin: (command) => `${base}.admin.${command}`,
    everyAdmin: `${base}.admin.*`,
    do: (command) => `${base}.do.${command}`,
    ask: (question) => `${base}.ask.${question}`,
    decision: (functionName) => `${base}.decision.${functionName}`,
    everyDecision: `${base}.decision.*`,
    setAside: (functionName) => `${base}.set-aside.${functionName}`,
    everySetAside: `${base}.set-aside.*`,
    adminStream: `DREY_${cluster}_ADMIN`,
    decisionStream: `DREY_${cluster}_DECISIONS`,
  };
}

/** One token of a subject: a foreign task id may hold dots, blanks or wildcards. */
function token(text: string): string {
  return text.replace(/[^A-Za-z0-9_-]/g, '_') || '_';
}
