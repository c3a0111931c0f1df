import type { Bus, Subscription } from '#runtime/bus/bus.ts';
import type { FunctionDefinition } from '#runtime/function.ts';
import type { Effect } from './effect.ts';
import type { Heard } from './heard.ts';

const version = '0.1.0';

/** The micro service of one copy of a function: `nats micro ls`, `info`, `stats`; and the questions that it answers. */
export function serveFunction<State>(
  bus: Bus,
  definition: FunctionDefinition<State, Heard, Effect>,
  copy: { readonly cluster: string; readonly copy: string },
): Promise<Subscription> {
  const { name, description, endpoints = [] } = definition;
  return bus.serve({
    name: `drey-${name}`,
    version,
    description,
    metadata: { cluster: copy.cluster, copy: copy.copy },
    queue: name,
    endpoints,
  });
}
