package io.drey.flink;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.Logger;

/** Keeps a warning that would come again and again to one line per interval. */
final class Seldom {
  private final long intervalNanos;
  private final AtomicLong last;

  Seldom(Duration interval) {
    this.intervalNanos = interval.toNanos();
    this.last = new AtomicLong(System.nanoTime() - intervalNanos);
  }

  void warn(Logger log, String format, Object... arguments) {
    long now = System.nanoTime();
    long before = last.get();
    if (now - before >= intervalNanos && last.compareAndSet(before, now)) {
      log.warn(format, arguments);
    } else {
      log.debug(format, arguments);
    }
  }
}
