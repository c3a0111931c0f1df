/** The import rules of the house: imports point down, and a decision reaches nothing but types. */
const below = (name, folder, forbidden) => ({
  name,
  severity: 'error',
  from: { path: `^${folder}/` },
  to: { path: `^(${forbidden.join('|')})/` },
});

module.exports = {
  forbidden: [
    below('proto-is-the-ground', 'proto', ['runtime', 'gateway', 'functions', 'deploy', 'test']),
    below('runtime-knows-no-domain', 'runtime', ['gateway', 'functions', 'deploy', 'test']),
    below('gateway-decides-nothing', 'gateway', ['functions', 'deploy', 'test']),
    below('functions-know-no-gateway', 'functions', ['gateway', 'deploy', 'test']),
    below('product-knows-no-test', 'deploy', ['test']),
    {
      name: 'local-mesos-stands-alone',
      severity: 'error',
      from: { path: '^deploy/local/mesos/' },
      to: { path: '^(gateway|functions|runtime/(?!store/|clock|errors|shutdown|log))' },
    },
    {
      name: 'decisions-are-pure',
      comment:
        'decide.ts and its rules reach no I/O, no clock, no randomness: time and ids come in as values.',
      severity: 'error',
      from: { path: '^functions/[a-z]+/(decide|rules/.*)\\.ts$' },
      to: {
        pathNot: [
          '^proto/',
          '^functions/[a-z]+/(decide|rules/.*)\\.ts$',
          '^functions/shared/(effect|heard|label|worker)\\.ts$',
          '^runtime/store/ops\\.ts$',
          '^node_modules/zod/',
        ],
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'only-the-store-knows-zookeeper',
      severity: 'error',
      from: { pathNot: '^(runtime/store|test|deploy/local/mesos)/' },
      to: { path: 'node-zookeeper-client' },
    },
    {
      name: 'only-the-bus-knows-nats',
      severity: 'error',
      from: { pathNot: '^(runtime/bus|test)/' },
      to: { path: '^node_modules/nats/' },
    },
    {
      name: 'no-circles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(test/recordings|docs)/' },
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'types'],
    },
  },
};
