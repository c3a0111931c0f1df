import type {
  Attribute,
  FrameworkInfo,
  Resource,
  TaskInfo,
  TaskState,
  TaskStatus,
} from '#proto/mesos/types.ts';

/** What an agent says of itself when it registers. */
export interface AgentRegistration {
  readonly hostname: string;
  readonly ip: string;
  readonly port: number;
  readonly resources: readonly Resource[];
  readonly attributes: readonly Attribute[];
}

/** A task as an agent that comes back reports it. */
export interface ReportedTask {
  readonly frameworkId: string;
  readonly task: TaskInfo;
  readonly role: string;
  /** What is true on the agent now. */
  readonly latestState: TaskState;
  /** The status that was sent last. */
  readonly status: TaskStatus | undefined;
}

/** Agent to master. */
export type AgentMessage =
  | { readonly kind: 'register'; readonly registration: AgentRegistration }
  | {
      readonly kind: 'reregister';
      readonly agentId: string;
      readonly registration: AgentRegistration;
      readonly frameworks: readonly FrameworkInfo[];
      readonly tasks: readonly ReportedTask[];
    }
  | {
      readonly kind: 'update';
      readonly frameworkId: string;
      readonly status: TaskStatus;
      /** The newest state on the agent, which may be ahead of `status`. */
      readonly latestState: TaskState;
    }
  | { readonly kind: 'unregister' }
  | { readonly kind: 'pong' };

/** Master to agent. */
export type MasterMessage =
  | { readonly kind: 'registered'; readonly agentId: string }
  | {
      readonly kind: 'reregistered';
      /** Tasks that the master counted on and the agent did not report. */
      readonly missing: readonly { readonly framework: FrameworkInfo; readonly taskId: string }[];
    }
  | {
      readonly kind: 'run-task';
      readonly framework: FrameworkInfo;
      readonly task: TaskInfo;
      readonly role: string;
    }
  | { readonly kind: 'kill-task'; readonly framework: FrameworkInfo; readonly taskId: string }
  | {
      readonly kind: 'shutdown-executor';
      readonly frameworkId: string;
      readonly executorId: string;
    }
  | {
      readonly kind: 'acknowledge';
      readonly frameworkId: string;
      readonly taskId: string;
      readonly uuid: Uint8Array;
    }
  /** The scheduler subscribed anew: send what is pending again. */
  | { readonly kind: 'framework-updated'; readonly framework: FrameworkInfo }
  | { readonly kind: 'shutdown-framework'; readonly frameworkId: string }
  | { readonly kind: 'ping' };
