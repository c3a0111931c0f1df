/** Flink's rule for sensitive keys (GlobalConfiguration of 2.3), so that all hide the same, and drey's own names. */
const sensitive =
  /password|secret|fs\.azure\.account\.key|apikey|api-key|auth-params|service-key|token|basic-auth|jaas|http-headers|credential|private-key|zookeeper\.auth$/i;

/** What stands where a secret was; Flink writes the same. */
export const hidden = '******';

/** Whether the value of this key must not be shown. */
export function isSensitive(key: string): boolean {
  return sensitive.test(key);
}

/** A text whose addresses show no `user:password@`. */
export function withoutPasswords(text: string): string {
  return text.replace(/(^|\/\/|[,\s"])[^@/,\s"]*:[^@/,\s"]*@/g, `$1${hidden}@`);
}
