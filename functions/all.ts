import type { FunctionDefinition } from '#runtime/function.ts';
import { adminFunction } from './admin/handler.ts';
import { demandFunction } from './demand/handler.ts';
import { explainFunction } from './explain/handler.ts';
import { failuresFunction } from './failures/handler.ts';
import { jobsFunction } from './jobs/handler.ts';
import { offersFunction } from './offers/handler.ts';
import { reconcileFunction } from './reconcile/handler.ts';
import type { FunctionContext } from './shared/context.ts';
import type { Effect } from './shared/effect.ts';
import type { Heard } from './shared/heard.ts';
import { updatesFunction } from './updates/handler.ts';

/** A function whatever its state. */
// biome-ignore lint/suspicious/noExplicitAny: the runner hands a function its own state only.
export type AnyFunction = FunctionDefinition<any, Heard, Effect>;

/** Every function by its name. */
export const everyFunction: Readonly<Record<string, (context: FunctionContext) => AnyFunction>> = {
  offers: offersFunction,
  updates: updatesFunction,
  failures: failuresFunction,
  reconcile: reconcileFunction,
  demand: demandFunction,
  jobs: jobsFunction,
  admin: adminFunction,
  explain: explainFunction,
};
