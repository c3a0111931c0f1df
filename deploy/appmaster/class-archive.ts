import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Below a Flink home: classes as a JVM maps them, and the `release` file of the Java that wrote them. */
export const archiveFolder = 'class-archive';

/**
 * The flags by which the JobManager maps its classes; none where the home has no archive, or one
 * of another Java. A JVM that finds other jars than those of the archive goes on without it.
 */
export function classArchiveFlags(flinkHome: string, java: string): readonly string[] {
  const archive = join(flinkHome, archiveFolder, 'jobmanager.jsa');
  const recorded = join(flinkHome, archiveFolder, 'release');
  if (!existsSync(archive) || !existsSync(recorded)) return [];
  const release = releaseOf(java);
  if (release === undefined) return [];
  const same = readFileSync(recorded, 'utf8') === readFileSync(release, 'utf8');
  return same ? [`-XX:SharedArchiveFile=${archive}`] : [];
}

/** The file by which a Java says exactly which one it is. */
export function releaseOf(java: string): string | undefined {
  const file = join(dirname(realpathSync(java)), '../release');
  return existsSync(file) ? file : undefined;
}
