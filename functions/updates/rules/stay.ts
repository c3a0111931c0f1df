import type { InverseOffer } from '#proto/mesos/types.ts';
import type { Reason } from '#runtime/function.ts';
import type { Effect, Registration } from '../../shared/effect.ts';

/** An inverse offer that was declined comes again after so long. */
const refuseSeconds = 60;

/**
 * Mesos asks to leave agents. To accept would promise that the workers are gone in time; drey does not
 * move them by itself, so an operator sees in Mesos' maintenance status that they stay.
 */
export function stay(
  draft: { readonly effects: Effect[]; readonly reasons: Reason[] },
  offers: readonly InverseOffer[],
  framework: Registration,
): void {
  if (offers.length === 0) return;
  const offerIds = offers.map((offer) => offer.id.value);
  draft.effects.push({ kind: 'decline-inverse', framework, offerIds, refuseSeconds });
  for (const { agent_id, unavailability } of offers) {
    const from = new Date(unavailability.start.nanoseconds / 1e6).toISOString();
    const why = `maintenance from ${from}: its workers stay until then (inverse offer declined)`;
    draft.reasons.push({ about: agent_id?.value ?? 'framework', why });
  }
}
