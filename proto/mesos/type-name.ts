const house = 'mesos.v1.';

/** The TypeScript name of a message or enum: `mesos.v1.scheduler.Call.Accept` is `SchedulerCallAccept`. */
export function typeNameOf(fullName: string): string {
  const own = fullName.startsWith(house) ? fullName.slice(house.length) : fullName;
  return own
    .split(/[._]/)
    .map((segment) => segment.charAt(0).toUpperCase() + segment.slice(1))
    .join('');
}
