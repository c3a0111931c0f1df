package io.drey.flink;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import javax.annotation.Nullable;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.runtime.clusterframework.ApplicationStatus;
import org.apache.flink.runtime.clusterframework.TaskExecutorProcessSpec;
import org.apache.flink.runtime.clusterframework.types.ResourceID;
import org.apache.flink.runtime.resourcemanager.active.AbstractResourceManagerDriver;
import org.apache.flink.runtime.util.EnvironmentInformation;
import org.apache.flink.util.FlinkException;

/**
 * Flink's hand in drey: passes on which workers Flink wants, and tells Flink what became of them.
 * It decides nothing. All its state belongs to Flink's main thread.
 */
final class DreyDriver extends AbstractResourceManagerDriver<DreyWorker> {
  /** A request that waits for offers is asked about again after so long. */
  private static final Duration ASK_AGAIN = Duration.ofSeconds(2);
  /** How often the driver asks whether its session still holds Flink's side. */
  private static final Duration HOLDER_LOOK = Duration.ofSeconds(10);
  /** After a minute of refusals the driver gives up. */
  private static final int MAX_REFUSALS = 30;
  /** How long Flink's resource manager waits at its start for the workers that live. */
  private static final Duration RECOVER_WAIT = Duration.ofSeconds(10);
  /** How long the end of the cluster waits for drey to have heard of it. */
  private static final Duration DEREGISTER_TIMEOUT = Duration.ofSeconds(10);

  private final String session = System.currentTimeMillis() + "-" + UUID.randomUUID();
  private final Demand demand;
  private final Requests requests = new Requests();
  private final Confirmations confirmations = new Confirmations(this::confirm);
  private final Ends ends = new Ends(this::mayHandOverMore, this::onTerminated, confirmations);

  private int refusals;
  private int lastNumber;
  private boolean recovered;
  /** Null until {@link #initializeInternal}. */
  private MainThread main;

  DreyDriver(Configuration configuration) {
    super(configuration, configuration);
    this.demand = new Demand(configuration, session);
  }

  @Override
  protected void initializeInternal() throws InterruptedException {
    main = new MainThread(getMainThreadExecutor(), getResourceEventHandler());
    demand.onLaunched(launched -> main.run(() -> onLaunched(launched)));
    demand.onEnded(ended -> main.run(() -> onEnded(ended)));
    demand.start();
    log.info("Driver session {} takes over Flink's side.", session);
    recoverFirst();
  }

  @Override
  public CompletableFuture<DreyWorker> requestResource(TaskExecutorProcessSpec spec) {
    int n = ++lastNumber;
    byte[] message = Messages.request(session, n, new WorkerSize(spec, flinkConfig));
    Requests.Request request = new Requests.Request(n, message);
    requests.add(request);
    // Cancelling is the only completion from outside, and Flink does it in this thread.
    request.future.whenComplete(
        (worker, failure) -> {
          if (request.future.isCancelled()) {
            onCancelled(request);
          }
        });
    if (recovered) {
      ask(request, Duration.ZERO);
    }
    return request.future;
  }

  @Override
  public void releaseResource(DreyWorker worker) {
    release(worker.id());
  }

  @Override
  public void deregisterApplication(ApplicationStatus status, @Nullable String diagnostics)
      throws InterruptedException {
    String reason = diagnostics == null ? "" : diagnostics;
    byte[] message = Messages.deregister(session, status.name(), reason);
    Messages.Answer answer = demand.askAndWait("deregister", message, DEREGISTER_TIMEOUT);
    if (answer == null) {
      log.warn("drey did not answer to the end of the cluster ({}).", status);
    } else {
      log.info("drey heard of the end ({}): {} {}", status, answer.status, answer.message);
    }
  }

  @Override
  public void terminate() {
    if (main != null) {
      main.close();
    }
    demand.close();
  }

  /**
   * Flink rejects a TaskManager that registers before its worker is known, and that TaskManager ends:
   * after a change of leader they come within 100 ms. So nobody is let in before drey has answered.
   */
  private void recoverFirst() throws InterruptedException {
    Messages.Answer answer = demand.askAndWait("recover", recoverMessage(), RECOVER_WAIT);
    if (answer == null) {
      log.warn("drey has not told within {} s which workers live; asking on.", RECOVER_WAIT.toSeconds());
      recover(Duration.ZERO);
    } else {
      take(answer, this::onRecovered);
    }
  }

  private void recover(Duration delay) {
    answered(demand.ask("recover", recoverMessage(), delay), this::onRecovered);
  }

  private byte[] recoverMessage() {
    return Messages.recover(session, EnvironmentInformation.getVersion());
  }

  private void onRecovered(Messages.Answer answer) {
    if (answer.status == Messages.Status.REFUSED) {
      onRefused(answer.message);
      return;
    }
    List<DreyWorker> workers = new ArrayList<>();
    for (Messages.Recovered worker : answer.workers) {
      // One that is being stopped would only be waited for; its end comes all the same.
      if (worker.state.compareTo(Messages.WorkerState.STOPPING) < 0) {
        workers.add(new DreyWorker(worker.id));
      }
    }
    getResourceEventHandler().onPreviousAttemptWorkersRecovered(workers);
    recovered = true;
    workers.forEach(worker -> ends.known(worker.id()));
    requests.all().stream()
        .filter(request -> request.question == null)
        .forEach(request -> ask(request, Duration.ZERO));
    ends.settle();
    lookWhoHolds();
  }

  /**
   * An older session whose call came late may have taken over: only an answer tells, and Flink may
   * have nothing to ask for hours.
   */
  private void lookWhoHolds() {
    byte[] nothing = Messages.confirm(session, List.of());
    answered(demand.ask("confirm", nothing, HOLDER_LOOK), answer -> lookWhoHolds());
  }

  /** A cluster that is just being set up refuses for some seconds; a wrong configuration, for ever. */
  private void onRefused(String why) {
    refusals += 1;
    if (refusals > MAX_REFUSALS) {
      main.fail(new FlinkException("drey refused this JobManager: " + why));
    } else {
      log.warn("drey refused this JobManager ({}); asking again.", why);
      recover(ASK_AGAIN);
    }
  }

  private void ask(Requests.Request request, Duration delay) {
    request.question = demand.ask("request", request.message, delay);
    answered(request.question, answer -> onAnswer(request, answer));
  }

  private void onAnswer(Requests.Request request, Messages.Answer answer) {
    if (request.future.isDone()) {
      return;
    }
    if (answer.status == Messages.Status.REFUSED) {
      requests.remove(request);
      request.future.completeExceptionally(
          new FlinkException("drey refused request " + request.n + ": " + answer.message));
    } else if (answer.worker == null || answer.state == null) {
      log.warn("The answer to request {} names no worker; asking again.", request.n);
      ask(request, ASK_AGAIN);
    } else if (answer.state == Messages.WorkerState.WANTED && !ends.isEarly(answer.worker)) {
      requests.name(request, answer.worker);
      ask(request, ASK_AGAIN);
    } else {
      serve(request, answer.worker);
      if (answer.state == Messages.WorkerState.ENDED && ends.isKnown(answer.worker)) {
        ends.ended(answer.worker, "ended before its request was answered");
      }
    }
    ends.settle();
  }

  private void onLaunched(Messages.Launched launched) {
    Requests.Request request = requests.numbered(launched.n);
    if (request != null) {
      serve(request, launched.worker);
      ends.settle();
    } else if (!ends.isKnown(launched.worker)) {
      // Its request was cancelled: a copy of it must have reached drey after the release.
      release(launched.worker);
    }
  }

  private void serve(Requests.Request request, String worker) {
    requests.remove(request);
    if (request.question != null) {
      request.question.stop();
    }
    request.future.complete(new DreyWorker(worker));
    ends.known(worker);
  }

  private void onCancelled(Requests.Request request) {
    requests.remove(request);
    Demand.Question question = request.question;
    if (question != null) {
      // Not before its last copy is settled: a release that overtakes its request releases nothing.
      question.stop();
      byte[] message = Messages.releaseRequest(session, request.n);
      question.quiet.thenRun(() -> main.run(() -> ask("release", message)));
    }
    ends.settle();
  }

  private void onEnded(Messages.Ended ended) {
    Requests.Request request = requests.servedBy(ended.worker);
    if (request != null) {
      serve(request, ended.worker);
    }
    ends.ended(ended.worker, ended.why);
  }

  private boolean mayHandOverMore() {
    return !recovered || requests.mayBeServedByUnknown();
  }

  private void onTerminated(String worker, String why) {
    getResourceEventHandler().onWorkerTerminated(new ResourceID(worker), why);
  }

  private void release(String worker) {
    ask("release", Messages.releaseWorker(session, worker));
  }

  private void ask(String verb, byte[] message) {
    answered(demand.ask(verb, message), answer -> warnIfRefused(verb, answer));
  }

  private void confirm(List<String> workers) {
    answered(
        demand.ask("confirm", Messages.confirm(session, workers)),
        answer -> {
          warnIfRefused("confirm", answer);
          confirmations.answered();
        });
  }

  private void warnIfRefused(String verb, Messages.Answer answer) {
    if (answer.status == Messages.Status.REFUSED) {
      log.warn("drey refused demand.{}: {}", verb, answer.message);
    }
  }

  private void answered(Demand.Question question, Consumer<Messages.Answer> then) {
    question.answer.thenAccept(answer -> main.run(() -> take(answer, then)));
  }

  private void take(Messages.Answer answer, Consumer<Messages.Answer> then) {
    if (answer.status == Messages.Status.SUPERSEDED) {
      main.fail(new FlinkException("another JobManager took over: " + answer.message));
    } else {
      then.accept(answer);
    }
  }
}
