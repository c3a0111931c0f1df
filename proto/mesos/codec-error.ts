/** Bytes or a value that are not the Mesos message they should be; nothing was decoded or encoded. */
export class CodecError extends Error {
  readonly code = 'DREY_CODEC';
  readonly remedy = 'give-up';
  /** Full Mesos name, such as `mesos.v1.Resource`. */
  readonly messageType: string;
  /** The field of that message, where one is to blame. */
  readonly field: string | undefined;
  readonly reason: string;

  constructor(
    messageType: string,
    field: string | undefined,
    reason: string,
    options?: ErrorOptions,
  ) {
    super(`${messageType}${field === undefined ? '' : `.${field}`}: ${reason}`, options);
    this.name = 'CodecError';
    this.messageType = messageType;
    this.field = field;
    this.reason = reason;
  }
}
