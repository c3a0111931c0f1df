package io.drey.flink;

import java.security.GeneralSecurityException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
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
 * Flink's hand in drey: passes on which workers Flink wants and tells Flink what became of them. It
 * decides nothing. All fields belong to Flink's main thread.
 */
final class DreyDriver extends AbstractResourceManagerDriver<DreyWorker> {
  /** A request that still waits is asked about again after so long. */
  private static final Duration ASK_AGAIN = Duration.ofSeconds(2);
  /** How long the end of the cluster waits for drey to have heard of it. */
  private static final long DEREGISTER_TIMEOUT_MS = 10_000;

  private final String session = System.currentTimeMillis() + "-" + UUID.randomUUID();
  private final Demand demand;
  private final Confirmations confirmations;
  /** By number: requests whose future is open. */
  private final Map<Integer, Request> requests = new HashMap<>();
  /** Workers that were handed to Flink and whose end it has not been told. */
  private final Set<String> live = new HashSet<>();
  /** Ends that came before it is known whether they concern Flink: worker, why. */
  private final Map<String, String> early = new HashMap<>();

  private int lastNumber;
  private boolean recovered;
  private boolean failed;
  private volatile boolean terminated;

  DreyDriver(Configuration configuration) throws GeneralSecurityException {
    super(configuration, configuration);
    this.demand = new Demand(configuration, session);
    this.confirmations = new Confirmations();
  }

  /** A request of Flink that no worker serves yet. */
  private final class Request {
    final int n;
    final byte[] message;
    final CompletableFuture<DreyWorker> future = new CompletableFuture<>();
    /** Which worker will serve it; null until drey has said so. */
    @Nullable String worker;
    @Nullable Demand.Question question;

    Request(int n, byte[] message) {
      this.n = n;
      this.message = message;
    }
  }

  @Override
  protected void initializeInternal() {
    demand.onLaunched(launched -> onMain(() -> onLaunched(launched)));
    demand.onEnded(ended -> onMain(() -> onEnded(ended)));
    demand.start();
    log.info("Driver session {} takes over Flink's side.", session);
    byte[] message = Messages.recover(session, EnvironmentInformation.getVersion());
    answered(demand.ask("recover", message), this::onRecovered);
  }

  @Override
  public CompletableFuture<DreyWorker> requestResource(TaskExecutorProcessSpec spec) {
    int n = ++lastNumber;
    WorkerSize size = WorkerSize.of(spec, flinkConfig);
    Request request = new Request(n, Messages.request(session, n, size));
    requests.put(n, request);
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
  public void deregisterApplication(ApplicationStatus status, @Nullable String diagnostics) {
    String reason = diagnostics == null ? "" : diagnostics;
    byte[] message = Messages.deregister(session, status.name(), reason);
    Demand.Question question = demand.ask("deregister", message);
    try {
      Messages.Answer answer =
          question.answer.get(DEREGISTER_TIMEOUT_MS, TimeUnit.MILLISECONDS);
      log.info("drey heard of the end ({}): {} {}", status, answer.status, answer.message);
    } catch (TimeoutException | ExecutionException e) {
      log.warn("drey did not answer to the end of the cluster ({}): {}", status, e.toString());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public void terminate() throws InterruptedException {
    terminated = true;
    demand.close();
  }

  private void onRecovered(Messages.Answer answer) {
    if (answer.status == Messages.Status.REFUSED) {
      fail(new FlinkException("drey refused this JobManager: " + answer.message));
      return;
    }
    recovered = true;
    List<DreyWorker> workers = new ArrayList<>();
    for (Messages.Recovered worker : answer.workers) {
      live.add(worker.id);
      // One that is being stopped would only be waited for; its end comes all the same.
      if (worker.state.compareTo(Messages.WorkerState.STOPPING) < 0) {
        workers.add(new DreyWorker(worker.id));
      }
    }
    getResourceEventHandler().onPreviousAttemptWorkersRecovered(workers);
    requests.values().forEach(request -> ask(request, Duration.ZERO));
    settleEarly();
  }

  private void ask(Request request, Duration delay) {
    request.question = demand.ask("request", request.message, delay);
    answered(request.question, answer -> onAnswer(request, answer));
  }

  private void onAnswer(Request request, Messages.Answer answer) {
    if (request.future.isDone()) {
      return;
    }
    if (answer.status == Messages.Status.REFUSED) {
      requests.remove(request.n);
      request.future.completeExceptionally(
          new FlinkException("drey refused request " + request.n + ": " + answer.message));
      settleEarly();
      return;
    }
    request.worker = answer.worker;
    boolean waits = answer.state == null || answer.state == Messages.WorkerState.WANTED;
    if (answer.worker == null || (waits && !early.containsKey(answer.worker))) {
      ask(request, ASK_AGAIN);
      settleEarly();
      return;
    }
    serve(request, answer.worker);
    if (answer.state == Messages.WorkerState.ENDED) {
      early.putIfAbsent(answer.worker, "ended before its request was answered");
    }
    settleEarly();
  }

  private void onLaunched(Messages.Launched launched) {
    if (!session.equals(launched.session)) {
      return;
    }
    Request request = requests.get(launched.n);
    if (request != null) {
      serve(request, launched.worker);
      settleEarly();
    } else if (!live.contains(launched.worker)) {
      // Its request was cancelled: a copy of it must have reached drey after the release.
      release(launched.worker);
    }
  }

  private void serve(Request request, String worker) {
    requests.remove(request.n);
    live.add(worker);
    if (request.question != null) {
      request.question.stop();
    }
    request.future.complete(new DreyWorker(worker));
  }

  private void onCancelled(Request request) {
    requests.remove(request.n);
    Demand.Question question = request.question;
    if (question == null) {
      return;
    }
    // Not before its last copy is settled: a release that overtakes its request releases nothing.
    question.stop();
    question.quiet.thenRun(
        () -> onMain(() -> ask("release", Messages.releaseRequest(session, request.n))));
    settleEarly();
  }

  private void onEnded(Messages.Ended ended) {
    if (session.equals(ended.session)) {
      early.put(ended.worker, ended.why);
      settleEarly();
    }
  }

  /** Tells Flink of the ends that concern it, once each, and holds those that still may. */
  private void settleEarly() {
    if (!recovered) {
      return;
    }
    for (Map.Entry<String, String> end : List.copyOf(early.entrySet())) {
      String worker = end.getKey();
      Request request = requestOf(worker);
      if (request != null) {
        serve(request, worker);
      }
      boolean mayBeAnnounced =
          requests.values().stream().anyMatch(waiting -> waiting.worker == null);
      if (live.remove(worker)) {
        getResourceEventHandler().onWorkerTerminated(new ResourceID(worker), end.getValue());
      } else if (mayBeAnnounced) {
        continue;
      }
      early.remove(worker);
      confirmations.add(worker);
    }
  }

  @Nullable
  private Request requestOf(String worker) {
    return requests.values().stream()
        .filter(request -> worker.equals(request.worker))
        .findFirst()
        .orElse(null);
  }

  private void release(String worker) {
    ask("release", Messages.releaseWorker(session, worker));
  }

  private void ask(String verb, byte[] message) {
    answered(demand.ask(verb, message), answer -> warnIfRefused(verb, answer));
  }

  private void warnIfRefused(String verb, Messages.Answer answer) {
    if (answer.status == Messages.Status.REFUSED) {
      log.warn("drey refused demand.{}: {}", verb, answer.message);
    }
  }

  private void answered(Demand.Question question, Consumer<Messages.Answer> then) {
    question.answer.thenAccept(
        answer ->
            onMain(
                () -> {
                  if (answer.status == Messages.Status.SUPERSEDED) {
                    fail(new FlinkException("another JobManager took over: " + answer.message));
                  } else {
                    then.accept(answer);
                  }
                }));
  }

  /**
   * Ends the JobManager. In a thread of its own: Flink exits in the calling thread, and its
   * shutdown waits for the main thread and the pools, which would cost 5 s and the exit code.
   */
  private void fail(Exception cause) {
    if (!failed) {
      failed = true;
      new Thread(() -> getResourceEventHandler().onError(cause), "drey-fatal").start();
    }
  }

  /** Runs in Flink's main thread; what goes wrong there ends the JobManager, as nothing may be lost. */
  private void onMain(Runnable task) {
    if (terminated) {
      return;
    }
    getMainThreadExecutor()
        .execute(
            () -> {
              if (terminated || failed) {
                return;
              }
              try {
                task.run();
              } catch (RuntimeException e) {
                fail(e);
              }
            });
  }

  /** Ends that Flink was told of, confirmed in batches: one message at a time. */
  private final class Confirmations {
    private static final int MAX_BATCH = 1000;
    private final Set<String> due = new HashSet<>();
    private boolean asking;

    void add(String worker) {
      due.add(worker);
      next();
    }

    private void next() {
      if (asking || due.isEmpty()) {
        return;
      }
      asking = true;
      List<String> batch = new ArrayList<>(due).subList(0, Math.min(due.size(), MAX_BATCH));
      due.removeAll(new HashSet<>(batch));
      answered(
          demand.ask("confirm", Messages.confirm(session, batch)),
          answer -> {
            warnIfRefused("confirm", answer);
            asking = false;
            next();
          });
    }
  }
}
