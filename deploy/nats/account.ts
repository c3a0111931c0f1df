import { type Rights, type Role, rightsOf, roles } from '#proto/access.ts';

/**
 * One account of a nats-server for one cluster: a user for each role, known by its nkey, and what it may do. To
 * be included in the server's `accounts` block; clusters of other accounts do not hear of it.
 */
export function accountOf(cluster: string, publicKeys: Readonly<Record<Role, string>>): string {
  const rights = rightsOf(cluster);
  const users = roles.map((role) => userOf(role, publicKeys[role], rights[role]));
  return [
    `# The users of drey's cluster "${cluster}" and their rights, made by deploy/nats/access.`,
    `"DREY_${cluster}": {`,
    '  jetstream: enabled',
    '  users: [',
    ...users,
    '  ]',
    '}',
    '',
  ].join('\n');
}

function userOf(role: Role, publicKey: string, rights: Rights): string {
  return [
    `    # ${role}`,
    `    { nkey: ${publicKey}, permissions: {`,
    `      publish: { allow: [${listOf(rights.publish)}] }`,
    `      subscribe: { allow: [${listOf(rights.subscribe)}] }`,
    ...(rights.answers ? ['      allow_responses: true'] : []),
    '    } }',
  ].join('\n');
}

function listOf(subjects: readonly string[]): string {
  return subjects.map((subject) => `"${subject}"`).join(', ');
}
