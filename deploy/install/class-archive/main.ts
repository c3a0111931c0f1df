import { train } from './train.ts';

/** `class-archive/main.ts <Flink home>`: makes its class archives anew. */
const [home] = process.argv.slice(2);
if (home === undefined) throw new Error('usage: class-archive/main.ts <Flink home>');
await train(home);
