import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reportShrunk } from './report.ts';
import { shrink } from './shrink.ts';
import { type Outcome, simulate, type Variant } from './simulate.ts';
import { variants } from './variants/variants.ts';

function planted(name: string): Variant {
  return variants[name] ?? assert.fail(`no variant ${name}`);
}

async function firstBroken(variant: Variant): Promise<Outcome> {
  for (let seed = 1; seed <= 100; seed += 1) {
    const outcome = await simulate(String(seed), variant);
    if (outcome.violations.length > 0 && outcome.plan.strikes.length > 8) return outcome;
  }
  return assert.fail('no seed broke a law');
}

test('simulation: a violation is shrunk to the faults that it needs', async (t) => {
  const variant = planted('unknown outcome taken as failure');
  const whole = await firstBroken(variant);
  const shrunk = await shrink(whole, variant);
  t.diagnostic(
    `${whole.plan.strikes.length} faults to ${shrunk.left.length} in ${shrunk.runs} runs`,
  );
  const law = whole.violations[0]?.law;
  assert.equal(shrunk.outcome.violations[0]?.law, law);
  assert.ok(shrunk.left.length < whole.plan.strikes.length);
  for (const { id } of shrunk.left) {
    const kept = shrunk.left.filter((strike) => strike.id !== id).map((strike) => strike.id);
    const spared = whole.plan.strikes.map((strike) => strike.id).filter((n) => !kept.includes(n));
    const without = await simulate(whole.seed, variant, new Set(spared));
    assert.notEqual(without.violations[0]?.law, law, `fault ${id} was not needed`);
  }
  const text = reportShrunk(shrunk, 40);
  assert.match(text, new RegExp(`^seed ${whole.seed} `));
  assert.ok(text.includes(`BROKEN: ${law}`));
  for (const { kind } of shrunk.left) assert.ok(text.includes(kind), `${kind} is not told`);
});

test('simulation: a violation that needs no fault is shrunk to none', async () => {
  const variant = planted('acknowledge before storing');
  const shrunk = await shrink(await firstBroken(variant), variant);
  assert.deepEqual(shrunk.left, []);
});
