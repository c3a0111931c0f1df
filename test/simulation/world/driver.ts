import type { DemandAnswer } from '#proto/messages.ts';
import { endedMessage, launchedMessage } from '#proto/messages.ts';
import type { Subjects } from '#proto/subjects.ts';
import type { Bus } from '#runtime/bus/bus.ts';
import { Demand, type Question } from './demand.ts';
import type { Life } from './life.ts';

const askAgainMs = 2000;
/** After a minute of refusals the driver gives up. */
const mostRefusals = 30;
/** How often it asks whether its session still holds Flink's side. */
const holderLookMs = 10_000;

/** What Flink hears of its driver. */
export interface FlinkSide {
  recovered(workers: readonly string[]): void;
  /** The request is served by this worker from now on. */
  served(n: number, worker: string): void;
  refused(n: number): void;
  terminated(worker: string): void;
  failed(why: string): void;
}

interface Request {
  readonly n: number;
  worker: string | undefined;
  question: Question | undefined;
}

/** The driver's protocol as `DreyDriver.java` speaks it: it decides nothing. */
export class SimDriver {
  readonly session: string;
  readonly #demand: Demand;
  readonly #flink: FlinkSide;
  readonly #life: Life;
  readonly #requests = new Map<number, Request>();
  /** Workers that were handed to Flink and whose end it has not been told. */
  readonly live = new Set<string>();
  /** Ends that came before it is known whether they concern Flink. */
  readonly #early = new Set<string>();
  readonly #unconfirmed = new Set<string>();
  #confirming = false;
  #last = 0;
  #refusals = 0;
  #recovered = false;
  #failed = false;

  constructor(life: Life, bus: Bus, subjects: Subjects, flink: FlinkSide) {
    this.#life = life;
    this.session = `${life.clock.now()}-${life.name}-${life.random.between(1000, 9999)}`;
    this.#demand = new Demand(life, bus, subjects);
    this.#flink = flink;
    bus.subscribe(subjects.demand('launched'), undefined, ({ data }) => {
      const { session, n, worker } = launchedMessage.parse(JSON.parse(text(data)));
      if (session === this.session) this.#launched(n, worker);
    });
    bus.subscribe(subjects.demand('ended'), undefined, ({ data }) => {
      const { session, worker } = endedMessage.parse(JSON.parse(text(data)));
      if (session !== this.session) return;
      this.#early.add(worker);
      this.#settle();
    });
    this.#takeOver(0);
  }

  /** Requests whose worker has not been launched. */
  get waiting(): readonly number[] {
    return [...this.#requests.keys()];
  }

  request(): number {
    this.#last += 1;
    const request: Request = { n: this.#last, worker: undefined, question: undefined };
    this.#requests.set(request.n, request);
    if (this.#recovered) this.#ask(request, 0);
    return request.n;
  }

  cancel(n: number): void {
    const request = this.#requests.get(n);
    this.#requests.delete(n);
    const question = request?.question;
    if (question === undefined) return;
    question.stop();
    question.whenQuiet(() => this.#release({ n }));
    this.#settle();
  }

  release(worker: string): void {
    this.#release({ worker });
  }

  deregister(heard: () => void): void {
    const message = { session: this.session, status: 'SUCCEEDED', diagnostics: 'the end' };
    const answered = (answer: DemandAnswer) => this.#answered(answer, heard);
    this.#whenRecovered(() => this.#demand.ask('deregister', message, answered));
  }

  #whenRecovered(then: () => void): void {
    if (this.#recovered) then();
    else this.#life.clock.after(100, () => this.#whenRecovered(then));
  }

  #release(what: { readonly n: number } | { readonly worker: string }): void {
    const message = { session: this.session, ...what };
    this.#demand.ask('release', message, (answer) => this.#answered(answer, () => undefined));
  }

  #answered(answer: DemandAnswer, then: () => void): void {
    if (this.#failed) return;
    if (answer.status === 'superseded') this.#fail(answer.message ?? 'superseded');
    else then();
  }

  #fail(why: string): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#flink.failed(why);
  }

  #takeOver(delayMs: number): void {
    const message = { session: this.session, flinkVersion: '2.3.0' };
    const answered = (answer: DemandAnswer) => this.#answered(answer, () => this.#recover(answer));
    this.#demand.ask('recover', message, answered, delayMs);
  }

  #recover(answer: DemandAnswer): void {
    if (answer.status === 'refused') {
      this.#refusals += 1;
      if (this.#refusals > mostRefusals) this.#fail(answer.message ?? 'refused');
      else this.#takeOver(askAgainMs);
      return;
    }
    const workers = answer.workers ?? [];
    for (const { id } of workers) this.live.add(id);
    this.#flink.recovered(workers.map(({ id }) => id));
    this.#recovered = true;
    for (const request of this.#requests.values()) {
      if (request.question === undefined) this.#ask(request, 0);
    }
    this.#settle();
    this.#lookWhoHolds();
  }

  /** An older session whose call came late may have taken over: only an answer tells. */
  #lookWhoHolds(): void {
    const message = { session: this.session, workers: [] };
    const answered = (answer: DemandAnswer) => this.#answered(answer, () => this.#lookWhoHolds());
    this.#demand.ask('confirm', message, answered, holderLookMs);
  }

  #ask(request: Request, delayMs: number): void {
    const size = { cpus: 1, memMb: 1024, slots: 2, gpus: 0, jvm: '-Xmx512m', dynamic: ['a=b'] };
    const message = { session: this.session, n: request.n, ...size };
    request.question = this.#demand.ask(
      'request',
      message,
      (answer) => this.#answered(answer, () => this.#progress(request, answer)),
      delayMs,
    );
  }

  #progress(request: Request, answer: DemandAnswer): void {
    if (!this.#requests.has(request.n)) return;
    if (answer.status === 'refused') {
      this.#requests.delete(request.n);
      this.#flink.refused(request.n);
      this.#settle();
      return;
    }
    const { worker, state } = answer;
    request.worker = worker;
    const waits = state === undefined || state === 'wanted';
    if (worker === undefined || (waits && !this.#early.has(worker))) {
      this.#ask(request, askAgainMs);
      this.#settle();
      return;
    }
    this.#serve(request, worker);
    if (state === 'ended') this.#early.add(worker);
    this.#settle();
  }

  #launched(n: number, worker: string): void {
    if (this.#failed) return;
    const request = this.#requests.get(n);
    if (request !== undefined) {
      this.#serve(request, worker);
      this.#settle();
    } else if (!this.live.has(worker)) this.#release({ worker });
  }

  #serve(request: Request, worker: string): void {
    this.#requests.delete(request.n);
    this.live.add(worker);
    request.question?.stop();
    this.#flink.served(request.n, worker);
  }

  /** Tells Flink of the ends that concern it, once each, and holds those that still may. */
  #settle(): void {
    if (!this.#recovered || this.#failed) return;
    for (const worker of [...this.#early]) {
      const request = [...this.#requests.values()].find((one) => one.worker === worker);
      if (request !== undefined) this.#serve(request, worker);
      const mayBeAnnounced = [...this.#requests.values()].some((one) => one.worker === undefined);
      if (this.live.delete(worker)) this.#flink.terminated(worker);
      else if (mayBeAnnounced) continue;
      this.#early.delete(worker);
      this.#unconfirmed.add(worker);
      this.#confirm();
    }
  }

  #confirm(): void {
    if (this.#confirming || this.#unconfirmed.size === 0) return;
    this.#confirming = true;
    const workers = [...this.#unconfirmed];
    this.#unconfirmed.clear();
    this.#demand.ask('confirm', { session: this.session, workers }, (answer) =>
      this.#answered(answer, () => {
        this.#confirming = false;
        this.#confirm();
      }),
    );
  }

  /** For the law that every end reaches the driver. */
  get alive(): boolean {
    return this.#life.alive && !this.#failed;
  }
}

function text(data: Uint8Array): string {
  return new TextDecoder().decode(data);
}
