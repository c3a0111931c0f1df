import { decodeEvent, encodeEvent } from '#proto/mesos/codec.ts';
import type { Offer, SchedulerEvent } from '#proto/mesos/types.ts';
import { latencyRow, percentile, type Row } from './figures.ts';

/** An offer of the size that a real agent makes: four scalars, two port ranges, three attributes. */
export function benchOffer(n: number, cpus = 8, memMb = 16_384): Offer {
  const scalar = (name: string, value: number) =>
    ({
      name,
      type: 'SCALAR',
      scalar: { value },
      role: '*',
      allocation_info: { role: '*' },
    }) as const;
  const agent = `6f1c1b0a-3d5e-4e8c-9a57-2f6f7e0f1d2c-S${n}`;
  const hostname = `agent-${n}.example.org`;
  return {
    id: { value: `6f1c1b0a-3d5e-4e8c-9a57-2f6f7e0f1d2c-O${n}` },
    framework_id: { value: '6f1c1b0a-3d5e-4e8c-9a57-2f6f7e0f1d2c-0000' },
    agent_id: { value: agent },
    hostname,
    allocation_info: { role: '*' },
    url: {
      scheme: 'http',
      address: { hostname, ip: '10.0.0.1', port: 5051 },
      path: '/slave(1)',
      query: [],
    },
    attributes: ['rack', 'zone', 'kind'].map((name) => ({
      name,
      type: 'TEXT' as const,
      text: { value: `${name}-${n % 7}` },
    })),
    resources: [
      scalar('cpus', cpus),
      scalar('mem', memMb),
      scalar('disk', 100_000),
      {
        name: 'ports',
        type: 'RANGES',
        ranges: {
          range: [
            { begin: 31_000, end: 31_499 },
            { begin: 31_600, end: 32_000 },
          ],
        },
        role: '*',
        allocation_info: { role: '*' },
      },
    ],
    executor_ids: [],
  };
}

export function offersEvent(offers: readonly Offer[]): SchedulerEvent {
  return { type: 'OFFERS', offers: { offers } };
}

/** How long it takes to decode one OFFERS event of 100 offers. */
export function benchDecode(rounds: number): Row[] {
  const event = offersEvent(Array.from({ length: 100 }, (_, n) => benchOffer(n)));
  const bytes = encodeEvent(event, 'protobuf');
  for (let n = 0; n < rounds / 5; n++) decodeEvent(bytes, 'protobuf');
  const samples: number[] = [];
  for (let n = 0; n < rounds; n++) {
    const started = performance.now();
    decodeEvent(bytes, 'protobuf');
    samples.push(performance.now() - started);
  }
  const p50 = percentile(samples, 0.5);
  return [
    { what: 'size of the event', value: `${bytes.length} bytes` },
    latencyRow('decode', samples),
    { what: 'offers per second', value: Math.round(100_000 / p50).toString() },
  ];
}
