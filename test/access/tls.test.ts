import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { connectBus } from '#runtime/bus/nats.ts';
import { systemClock } from '#runtime/clock.ts';
import { Configuration } from '#runtime/config/configuration.ts';
import { natsOf } from '#runtime/config/connections.ts';
import { startNats } from '#test/world/nats.ts';
import { makeCertificates } from './certificates.ts';

type Settings = Readonly<Record<string, string>>;

/** What a gateway makes of these keys. */
async function connects(settings: Settings, connectTimeoutMs = 30_000): Promise<void> {
  const entries = Object.entries(settings);
  const config = new Configuration(entries.map(([key, value]) => ({ key, value, origin: '-D' })));
  const { servers, ...credentials } = natsOf(config, 'gateway');
  const bus = await connectBus({
    ...{ servers, credentials, name: 'test', clock: systemClock },
    connectTimeoutMs,
  });
  await bus.close();
}

/** A refusal is tried again until the time is over: a shorter time. */
function tries(settings: Settings): Promise<void> {
  return connects(settings, 5000);
}

test('access: NATS over TLS, with a certificate of our own, a token, a user of our own', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'drey-tls-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const { ca, server, client } = makeCertificates(dir);
  const tls = `tls { cert_file: "${server.certificate}", key_file: "${server.key}", ca_file: "${ca}", verify: true }`;
  const users = 'authorization { users: [ { user: gateway, password: "p4ss#word" } ] }';
  const nats = await startNats({ dir: join(dir, 'nats'), configuration: `${tls}\n${users}` });
  t.after(() => nats.stop());
  const trust = { 'drey.nats.servers': nats.url, 'drey.nats.tls.ca': ca };
  const own = { 'drey.nats.tls.certificate': client.certificate, 'drey.nats.tls.key': client.key };
  const named = { 'drey.nats.gateway.user': 'gateway', 'drey.nats.gateway.password': 'p4ss#word' };
  await connects({ ...trust, ...own, ...named });
  await connects({ ...trust, ...own, ...named, 'drey.nats.token': 'not for the gateway' });
  await assert.rejects(tries({ ...trust, ...named }), /no NATS server at/);
  const untrusted = { 'drey.nats.servers': nats.url.replace('nats:', 'tls:'), ...own, ...named };
  await assert.rejects(tries(untrusted), /certificate/);
  const wrong = tries({ ...trust, ...own, ...named, 'drey.nats.gateway.password': 'other-pw' });
  await assert.rejects(wrong, (error: Error) => {
    assert.match(error.message, /Authorization/);
    assert.doesNotMatch(error.message, /other-pw/);
    return true;
  });
});

test('access: a file of NATS that is not there is named with its key', () => {
  const of = (settings: Settings) => () => {
    const all = Object.entries({ 'drey.nats.servers': 'nats://h:4222', ...settings });
    const config = new Configuration(all.map(([key, value]) => ({ key, value, origin: '-D' })));
    return natsOf(config, 'functions');
  };
  assert.throws(of({ 'drey.nats.nkey': '/nowhere/x' }), /drey\.nats\.nkey: the file \/nowhere\/x/);
  assert.throws(of({ 'drey.nats.functions.credentials': '/nowhere/x' }), /functions\.credentials/);
  const half = of({ 'drey.nats.tls.certificate': import.meta.filename });
  assert.throws(half, /drey\.nats\.tls\.key: is not set/);
});
