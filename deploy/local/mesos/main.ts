import { agentCommand } from './agent-command.ts';
import { masterCommand } from './master-command.ts';
import { simulatedAgentsCommand } from './simulated-agents-command.ts';
import { UsageError } from './usage.ts';

const usage =
  'usage: main.ts master [--port 5050 ...] | main.ts agent --master HOST:PORT --work-dir DIR ... | ' +
  'main.ts simulated-agents --master HOST:PORT [--count 10 ...]';

/** The local Mesos from the command line: one master, one agent, or many without processes, in the foreground. */
async function main(): Promise<void> {
  const [command, ...rest] = process.argv.slice(2);
  try {
    if (command === 'master') await masterCommand(rest);
    else if (command === 'agent') await agentCommand(rest);
    else if (command === 'simulated-agents') await simulatedAgentsCommand(rest);
    else throw new UsageError(usage);
  } catch (error) {
    process.stderr.write(`local mesos: ${sentence(error)}\n`);
    process.exit(1);
  }
}

/** What a person can act on; only a defect of the program itself shows where it happened. */
function sentence(error: unknown): string {
  const { code, message, stack } = error as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE') return `${message}: choose another --port (0 takes any free one)`;
  if (error instanceof UsageError || error instanceof RangeError) return message;
  if (code !== undefined) return message;
  return stack ?? String(error);
}

await main();
