package io.drey.flink;

import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BiConsumer;
import java.util.function.BooleanSupplier;

/** Sees to it that Flink is told of each end once, not before it knows the worker, and drey after it. */
final class Ends {
  private final BooleanSupplier mayBeClaimed;
  private final BiConsumer<String, String> tell;
  private final Confirmations confirmations;
  /** Workers that Flink knows and of whose end it has not been told. */
  private final Set<String> live = new HashSet<>();
  /** Ends (worker, why) of workers that Flink may still come to know: their answer is under way. */
  private final Map<String, String> early = new HashMap<>();

  /**
   * {@code mayBeClaimed}: whether a worker that Flink does not know may yet be handed to it.
   * {@code tell}: tells Flink of an end (worker, why).
   */
  Ends(BooleanSupplier mayBeClaimed, BiConsumer<String, String> tell, Confirmations confirmations) {
    this.mayBeClaimed = mayBeClaimed;
    this.tell = tell;
    this.confirmations = confirmations;
  }

  /** Flink has been handed this worker. */
  void known(String worker) {
    live.add(worker);
    String why = early.remove(worker);
    if (why != null) {
      ended(worker, why);
    }
  }

  boolean isKnown(String worker) {
    return live.contains(worker);
  }

  boolean isEarly(String worker) {
    return early.containsKey(worker);
  }

  /** drey repeats this until it is confirmed. */
  void ended(String worker, String why) {
    if (live.remove(worker)) {
      tell.accept(worker, why);
      confirmations.add(worker);
    } else if (mayBeClaimed.getAsBoolean()) {
      early.put(worker, why);
    } else {
      // Flink never knew it, or was told of its end before.
      confirmations.add(worker);
    }
  }

  /** Confirms what was held back, once nobody can claim it any more. */
  void settle() {
    if (!mayBeClaimed.getAsBoolean()) {
      List<String> unclaimed = List.copyOf(early.keySet());
      early.clear();
      unclaimed.forEach(confirmations::add);
    }
  }
}
