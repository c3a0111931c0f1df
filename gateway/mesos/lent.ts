/** The offers that were neither answered nor rescinded. What is not in here is certainly not ours to use. */
export class LentOffers {
  /** Offer id -> since when. */
  readonly #lent = new Map<string, number>();
  /** Held, but for no ACCEPT any more: they are declined until that is known to be sent. */
  readonly #spent = new Map<string, number>();

  get size(): number {
    return this.#lent.size + this.#spent.size;
  }

  add(offerId: string, now: number): void {
    this.#lent.delete(offerId); // a Map keeps the order of insertion: the oldest stays first
    this.#lent.set(offerId, now);
  }

  /** Keeps these offers only to be declined again: whoever counted on them was told that they are gone. */
  spend(offerIds: readonly string[], now: number): void {
    for (const id of offerIds) this.#spent.set(id, now); // taken out before: the oldest stays first
  }

  /** RESCIND. */
  remove(offerId: string): void {
    this.#lent.delete(offerId);
    this.#spent.delete(offerId);
  }

  /** SUBSCRIBED, or the end of a stream. */
  clear(): void {
    this.#lent.clear();
    this.#spent.clear();
  }

  /** Takes all of these offers out, or none: then the first that is not held is told. */
  takeAll(offerIds: readonly string[]): { readonly missing?: string } {
    const missing = offerIds.find((id) => !this.#lent.has(id));
    if (missing !== undefined) return { missing };
    for (const id of offerIds) this.#lent.delete(id);
    return {};
  }

  /** Takes out those of these offers that are held. */
  takeHeld(offerIds: readonly string[]): readonly string[] {
    return offerIds.filter((id) => this.#lent.delete(id));
  }

  /** Takes out what has been held for at least so long. */
  takeOlderThan(
    ageMs: number,
    now: number,
  ): { readonly lent: readonly string[]; readonly spent: readonly string[] } {
    return { lent: takeOld(this.#lent, ageMs, now), spent: takeOld(this.#spent, ageMs, now) };
  }
}

function takeOld(held: Map<string, number>, ageMs: number, now: number): readonly string[] {
  const old: string[] = [];
  for (const [id, since] of held) {
    if (now - since < ageMs) break; // all after it are younger
    old.push(id);
  }
  for (const id of old) held.delete(id);
  return old;
}
