package io.drey.flink;

import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import java.util.function.Function;
import javax.annotation.Nullable;
import org.apache.flink.configuration.Configuration;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Speaks with drey's demand function: repeats each message, unchanged, until it is answered. */
final class Demand {
  private static final Logger LOG = LoggerFactory.getLogger(Demand.class);
  private static final Duration ANSWER_TIMEOUT = Duration.ofSeconds(2);
  private static final long FIRST_RETRY_MS = 250;
  private static final long LAST_RETRY_MS = 2000;
  /** Without a connection a try costs nothing, and the first one after it came should not be late. */
  private static final long AWAY_RETRY_MS = 100;

  private final Bus bus;
  private final String session;
  private final String base;
  private final Seldom unreadable = new Seldom(Duration.ofSeconds(5));
  private final Seldom unanswered = new Seldom(Duration.ofSeconds(5));
  private final ScheduledExecutorService scheduler =
      Executors.newSingleThreadScheduledExecutor(
          task -> {
            Thread thread = new Thread(task, "drey-demand");
            thread.setDaemon(true);
            return thread;
          });

  /** Asks nothing yet. */
  Demand(Configuration configuration, String session) {
    this.session = session;
    String cluster = DreyOptions.cluster(configuration);
    this.bus = new Bus(configuration, "drey-flink-driver " + cluster + " " + session);
    this.base = "drey." + cluster + ".demand.";
  }

  /** Hears what is pushed to this session; to be called before start. */
  void onLaunched(Consumer<Messages.Launched> listener) {
    listen("launched", Messages.Launched::parse, launched -> launched.session, listener);
  }

  void onEnded(Consumer<Messages.Ended> listener) {
    listen("ended", Messages.Ended::parse, ended -> ended.session, listener);
  }

  void start() {
    bus.start();
  }

  Question ask(String verb, byte[] message) {
    return ask(verb, message, Duration.ZERO);
  }

  Question ask(String verb, byte[] message, Duration delay) {
    Question question = new Question(verb, message);
    question.in(delay.toMillis());
    return question;
  }

  /** Blocks until the answer is there; null when it does not come in time. */
  @Nullable
  Messages.Answer askAndWait(String verb, byte[] message, Duration timeout)
      throws InterruptedException {
    Question question = ask(verb, message);
    try {
      return question.answer.get(timeout.toMillis(), TimeUnit.MILLISECONDS);
    } catch (TimeoutException e) {
      question.stop();
      return null;
    } catch (ExecutionException e) {
      throw new IllegalStateException("an answer is never a failure", e);
    }
  }

  void close() {
    scheduler.shutdownNow();
    bus.close();
  }

  private interface Parser<T> {
    T parse(byte[] data) throws IOException;
  }

  private <T> void listen(
      String verb, Parser<T> parser, Function<T, String> sessionOf, Consumer<T> listener) {
    bus.listen(
        base + verb,
        data -> {
          try {
            T message = parser.parse(data);
            if (session.equals(sessionOf.apply(message))) {
              listener.accept(message);
            }
          } catch (IOException e) {
            unreadable.warn(LOG, "A message demand.{} is left out: {}", verb, e.getMessage());
          }
        });
  }

  /** One message on its way; its fields belong to the scheduler's thread. */
  final class Question {
    /** Completes with the answer, on a thread of the bus or the scheduler. */
    final CompletableFuture<Messages.Answer> answer = new CompletableFuture<>();

    /** Completes when this question is certain not to be sent again and no copy awaits an answer. */
    final CompletableFuture<Void> quiet = new CompletableFuture<>();

    private final String verb;
    private final byte[] message;
    private long retryMs = FIRST_RETRY_MS;
    private volatile boolean stopped;
    private boolean asking;

    private Question(String verb, byte[] message) {
      this.verb = verb;
      this.message = message;
    }

    /** Repeats it no more; an answer to what was sent already still counts. */
    void stop() {
      stopped = true;
      run(
          () -> {
            if (!asking) {
              quiet.complete(null);
            }
          });
    }

    private void send() {
      if (stopped) {
        quiet.complete(null);
        return;
      }
      asking = true;
      bus.ask(base + verb, message, ANSWER_TIMEOUT)
          // jnats looks for timeouts at intervals only.
          .orTimeout(ANSWER_TIMEOUT.toMillis(), TimeUnit.MILLISECONDS)
          .whenComplete((data, failure) -> run(() -> heard(data, failure)));
    }

    private void heard(byte[] data, Throwable failure) {
      asking = false;
      if (failure == null && read(data)) {
        quiet.complete(null);
      } else if (stopped) {
        quiet.complete(null);
      } else if (failure instanceof Bus.AwayException) {
        in(AWAY_RETRY_MS);
      } else {
        if (failure != null) {
          Throwable cause = failure.getCause() == null ? failure : failure.getCause();
          unanswered.warn(LOG, "demand.{} is not answered yet ({}); asking on.", verb, cause);
        }
        in(retryMs);
        retryMs = Math.min(2 * retryMs, LAST_RETRY_MS);
      }
    }

    private boolean read(byte[] data) {
      try {
        return answer.complete(Messages.Answer.parse(data));
      } catch (IOException e) {
        unreadable.warn(LOG, "The answer to demand.{} cannot be read: {}", verb, e.getMessage());
        return false;
      }
    }

    private void in(long delayMs) {
      try {
        scheduler.schedule(this::send, delayMs, TimeUnit.MILLISECONDS);
      } catch (RejectedExecutionException e) {
        LOG.debug("demand.{} is not sent: the driver is closed.", verb);
      }
    }

    private void run(Runnable task) {
      try {
        scheduler.execute(task);
      } catch (RejectedExecutionException e) {
        LOG.debug("demand.{} is left: the driver is closed.", verb);
      }
    }
  }
}
