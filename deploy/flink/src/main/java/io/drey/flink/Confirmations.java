package io.drey.flink;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;

/** Ends that Flink was told of, confirmed to drey in batches: one message at a time. */
final class Confirmations {
  /** The most that one message may hold. */
  private static final int MAX_BATCH = 1000;

  private final Consumer<List<String>> send;
  private final Set<String> due = new LinkedHashSet<>();
  private boolean underWay;

  /** {@code send} sends one batch and sees to it that {@link #answered} is called. */
  Confirmations(Consumer<List<String>> send) {
    this.send = send;
  }

  void add(String worker) {
    due.add(worker);
    next();
  }

  void answered() {
    underWay = false;
    next();
  }

  private void next() {
    if (underWay || due.isEmpty()) {
      return;
    }
    underWay = true;
    List<String> batch = new ArrayList<>();
    for (String worker : due) {
      if (batch.size() == MAX_BATCH) {
        break;
      }
      batch.add(worker);
    }
    batch.forEach(due::remove);
    send.accept(batch);
  }
}
