package io.drey.flink;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import org.apache.flink.runtime.resourcemanager.WorkerResourceSpec;
import org.apache.flink.runtime.resourcemanager.slotmanager.ResourceDeclaration;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Passes on what Flink's slot manager declares: a larger number of workers at once, a smaller one
 * only when it has stood for a while.
 *
 * <p>When a TaskManager is lost, Flink's resource manager asks for another one within milliseconds.
 * Then the job restarts, needs no slots during its restart delay, and the slot manager declares one
 * worker less: the new one would be stopped, and a second one started when the delay is over. Only
 * workers that have not registered yet can be surplus in this way; idle ones, which the slot manager
 * names, go at once.
 *
 * <p>All its state belongs to Flink's main thread.
 */
final class SurplusHold {
  private static final Logger LOG = LoggerFactory.getLogger(SurplusHold.class);

  private final Duration hold;
  private final BiConsumer<Runnable, Duration> later;
  private final Consumer<Collection<ResourceDeclaration>> passOn;
  /** The number of workers of each size that was passed on last. */
  private final Map<WorkerResourceSpec, Integer> passed = new HashMap<>();
  /** Sizes of which more are kept than declared, each with a mark of its own. */
  private final Map<WorkerResourceSpec, Object> held = new HashMap<>();
  private Collection<ResourceDeclaration> latest = List.of();

  /**
   * {@code later} runs a task in Flink's main thread after a delay; {@code passOn} takes what is to
   * be declared.
   */
  SurplusHold(
      Duration hold,
      BiConsumer<Runnable, Duration> later,
      Consumer<Collection<ResourceDeclaration>> passOn) {
    this.hold = hold;
    this.later = later;
    this.passOn = passOn;
  }

  void declare(Collection<ResourceDeclaration> declarations) {
    latest = declarations;
    List<ResourceDeclaration> kept = new ArrayList<>();
    for (ResourceDeclaration declaration : withForgotten(declarations)) {
      int number = kept(declaration);
      WorkerResourceSpec spec = declaration.getSpec();
      kept.add(new ResourceDeclaration(spec, number, declaration.getUnwantedWorkers()));
      if (number == 0) {
        passed.remove(spec);
      } else {
        passed.put(spec, number);
      }
    }
    passOn.accept(kept);
  }

  /** Flink declares nothing for a size of which it wants none, and so would never cancel its requests. */
  private List<ResourceDeclaration> withForgotten(Collection<ResourceDeclaration> declarations) {
    Set<WorkerResourceSpec> forgotten = new HashSet<>(passed.keySet());
    declarations.forEach(declaration -> forgotten.remove(declaration.getSpec()));
    List<ResourceDeclaration> all = new ArrayList<>(declarations);
    forgotten.forEach(spec -> all.add(new ResourceDeclaration(spec, 0, Set.of())));
    return all;
  }

  private int kept(ResourceDeclaration declaration) {
    WorkerResourceSpec spec = declaration.getSpec();
    int needed = declaration.getNumNeeded();
    int unreleased = passed.getOrDefault(spec, 0) - declaration.getUnwantedWorkers().size();
    if (needed >= unreleased || hold.isZero()) {
      held.remove(spec);
      return needed;
    }
    if (!held.containsKey(spec)) {
      LOG.info(
          "Flink wants {} workers, {} fewer; those that have not registered are kept for {}.",
          needed,
          unreleased - needed,
          hold);
      Object mark = new Object();
      held.put(spec, mark);
      later.accept(() -> end(spec, mark), hold);
    }
    return unreleased;
  }

  private void end(WorkerResourceSpec spec, Object mark) {
    if (held.remove(spec, mark)) {
      passed.put(spec, 0);
      declare(latest);
    }
  }
}
