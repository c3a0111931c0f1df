/**
 * As many of a long list as are looked at by one tick, a second each in turn: those at its head that
 * stay long must not hide the others. `now` is in ms; `atOnce` is the length of what is returned.
 */
export function inTurn(ids: readonly string[], atOnce: number, now: number): readonly string[] {
  if (ids.length <= atOnce) return ids;
  const start = (Math.floor(now / 1000) * atOnce) % ids.length;
  return [...ids.slice(start), ...ids.slice(0, start)].slice(0, atOnce);
}
