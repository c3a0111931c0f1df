import { z } from 'zod';

/** One call as a master answered it, or one event that it sent. */
const line = z.looseObject({
  /** ms since 1970. */
  at: z.number(),
  stream: z.string().optional(),
  call: z.string().optional(),
  /** HTTP status of the answer: 202 (SUBSCRIBE: 200) is taken. */
  status: z.number().optional(),
  event: z.string().optional(),
  framework: z.string().optional(),
  offers: z.array(z.string()).optional(),
  /** Task ids of an ACCEPT's launches. */
  tasks: z.array(z.string()).optional(),
  task: z.string().optional(),
  state: z.string().optional(),
  reason: z.string().optional(),
  /** Hexadecimal. */
  uuid: z.string().optional(),
  /** Seconds since 1970. */
  timestamp: z.number().optional(),
  message: z.string().optional(),
});
export type Line = z.infer<typeof line>;

/** The file that `master --transcript` writes. */
export function parseTranscript(text: string): readonly Line[] {
  return text
    .split('\n')
    .filter((one) => one !== '')
    .map((one) => line.parse(JSON.parse(one)));
}
