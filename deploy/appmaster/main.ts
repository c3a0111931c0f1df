import { supervise } from './supervisor.ts';

process.exitCode = await supervise(process.argv.slice(2), process.env);
// Whatever still holds the loop is ours and has been stopped: the exit code must not wait for it.
process.exit();
