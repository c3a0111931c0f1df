package io.drey.flink;

import java.util.concurrent.Executor;
import org.apache.flink.runtime.resourcemanager.active.ResourceEventHandler;

/** Flink's main thread as the driver uses it: nothing runs there after the end or a fatal error. */
final class MainThread {
  private final Executor executor;
  private final ResourceEventHandler<?> flink;
  private volatile boolean closed;

  MainThread(Executor executor, ResourceEventHandler<?> flink) {
    this.executor = executor;
    this.flink = flink;
  }

  /** What goes wrong in the task ends the JobManager: a message half applied must not pass. */
  void run(Runnable task) {
    if (!closed) {
      executor.execute(() -> guard(task));
    }
  }

  /**
   * Ends the JobManager. In a thread of its own: Flink exits in the calling thread, and its
   * shutdown waits for the main thread and the pools, which would cost 5 s and the exit code.
   */
  void fail(Exception cause) {
    closed = true;
    new Thread(() -> flink.onError(cause), "drey-fatal").start();
  }

  void close() {
    closed = true;
  }

  private void guard(Runnable task) {
    if (closed) {
      return;
    }
    try {
      task.run();
    } catch (RuntimeException e) {
      fail(e);
    }
  }
}
