package io.drey.flink;

import io.nats.client.Connection;
import io.nats.client.ConnectionListener;
import io.nats.client.Consumer;
import io.nats.client.Dispatcher;
import io.nats.client.ErrorListener;
import io.nats.client.Message;
import io.nats.client.Nats;
import io.nats.client.Options;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.IllegalConfigurationException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The connection to NATS: comes up in the background, comes back for ever, never blocks a caller. */
final class Bus {
  private static final Logger LOG = LoggerFactory.getLogger(Bus.class);
  private static final Duration CONNECT_TIMEOUT = Duration.ofSeconds(2);
  private static final Duration RECONNECT_WAIT = Duration.ofMillis(250);
  private static final Duration PING_INTERVAL = Duration.ofSeconds(5);
  private static final int MAX_PINGS_OUT = 2;
  private static final long CONNECT_AGAIN_MS = 500;

  private final Options options;
  private final String servers;
  private final Map<String, java.util.function.Consumer<byte[]>> listeners = new LinkedHashMap<>();
  private final Seldom away = new Seldom(Duration.ofSeconds(5));
  private final Seldom lost = new Seldom(Duration.ofSeconds(5));
  private final Thread thread = new Thread(this::stayConnected, "drey-bus");

  private volatile Connection connection;
  private volatile boolean closed;

  /** There is no connection: certainly not sent. */
  static final class AwayException extends IOException {
    private static final long serialVersionUID = 1L;

    AwayException() {
      super("NATS is away");
    }
  }

  /**
   * Does not connect yet.
   *
   * @throws IllegalConfigurationException when the servers or credentials cannot be used.
   */
  Bus(Configuration configuration, String name) {
    this.servers = withoutCredentials(configuration.get(DreyOptions.NATS_SERVERS));
    this.options = options(configuration, name);
    this.thread.setDaemon(true);
  }

  /** Hands over every message of the subject, on a thread of the bus; to be called before start. */
  void listen(String subject, java.util.function.Consumer<byte[]> listener) {
    listeners.put(subject, listener);
  }

  void start() {
    thread.start();
  }

  /** Asks once. Fails at once where there is no connection. */
  CompletableFuture<byte[]> ask(String subject, byte[] question, Duration timeout) {
    Connection current = connection;
    if (current == null || current.getStatus() != Connection.Status.CONNECTED) {
      return CompletableFuture.failedFuture(new AwayException());
    }
    try {
      return current.requestWithTimeout(subject, question, timeout).thenApply(Message::getData);
    } catch (IllegalStateException | IllegalArgumentException e) {
      // Thrown while the connection is being lost or closed.
      return CompletableFuture.failedFuture(e);
    }
  }

  /** Returns at once; the connection is closed by its own thread. */
  void close() {
    closed = true;
    thread.interrupt();
  }

  private void stayConnected() {
    try {
      while (!closed) {
        tryConnection();
        TimeUnit.MILLISECONDS.sleep(CONNECT_AGAIN_MS);
      }
    } catch (InterruptedException e) {
      LOG.debug("The bus is closed.");
    } finally {
      closeConnection();
    }
  }

  /** One connection's life: jnats reconnects by itself, but gives up when it is refused twice. */
  private void tryConnection() throws InterruptedException {
    CountDownLatch ended = new CountDownLatch(1);
    try {
      Connection current = Nats.connect(withListener(ended));
      listenOn(current);
      connection = current;
      LOG.info("Connected to NATS at {}.", withoutCredentials(current.getConnectedUrl()));
    } catch (IOException | IllegalStateException e) {
      away.warn(LOG, "NATS at {} is not reachable ({}); trying on.", servers, e.getMessage());
      return;
    }
    ended.await();
    away.warn(LOG, "The connection to NATS at {} was given up; connecting anew.", servers);
  }

  private void closeConnection() {
    Connection current = connection;
    if (current == null) {
      return;
    }
    try {
      current.close();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void listenOn(Connection current) {
    Dispatcher dispatcher = current.createDispatcher();
    listeners.forEach(
        (subject, listener) ->
            dispatcher.subscribe(subject, message -> listener.accept(message.getData())));
  }

  private Options withListener(CountDownLatch ended) {
    return new Options.Builder(options).connectionListener(new LogChanges(ended)).build();
  }

  private static Options options(Configuration configuration, String name) {
    Options.Builder builder =
        new Options.Builder()
            .connectionName(name)
            // Nobody else may listen there: proto/access.ts.
            .inboxPrefix("_INBOX.drey." + DreyOptions.cluster(configuration) + ".driver.")
            .connectionTimeout(CONNECT_TIMEOUT)
            .maxReconnects(-1)
            .reconnectWait(RECONNECT_WAIT)
            // While away nothing is kept: every question is repeated by whoever asked it.
            .reconnectBufferSize(0)
            .pingInterval(PING_INTERVAL)
            .maxPingsOut(MAX_PINGS_OUT)
            .reportNoResponders()
            .useTimeoutException()
            .errorListener(new LogErrors());
    authenticate(builder, configuration);
    SSLContext tls = BusTls.context(configuration);
    if (tls != null) {
      builder.sslContext(tls);
    }
    try {
      return builder.servers(DreyOptions.servers(configuration)).build();
    } catch (IllegalArgumentException e) {
      throw new IllegalConfigurationException(
          DreyOptions.NATS_SERVERS.key() + " cannot be used: " + withoutCredentials(e.getMessage()));
    }
  }

  private static void authenticate(Options.Builder builder, Configuration configuration) {
    String user = configuration.get(DreyOptions.NATS_USER);
    String password = configuration.get(DreyOptions.NATS_PASSWORD);
    String token = configuration.get(DreyOptions.NATS_TOKEN);
    String credentials = DreyOptions.file(configuration, DreyOptions.NATS_CREDENTIALS);
    String nkey = DreyOptions.file(configuration, DreyOptions.NATS_NKEY);
    if (credentials != null) {
      builder.authHandler(Nats.credentials(credentials));
    } else if (nkey != null) {
      builder.authHandler(Nats.staticCredentials(null, seed(nkey)));
    } else if (token != null) {
      builder.token(token.toCharArray());
    } else if (user != null) {
      builder.userInfo(user.toCharArray(), password == null ? new char[0] : password.toCharArray());
    }
  }

  private static char[] seed(String file) {
    try {
      return Files.readString(Path.of(file)).trim().toCharArray();
    } catch (IOException e) {
      throw new IllegalConfigurationException(
          DreyOptions.NATS_NKEY.key() + " cannot be read: " + e.getMessage(), e);
    }
  }

  /** Addresses for people: what stands before an {@code @} is left out. */
  private static String withoutCredentials(String addresses) {
    return addresses == null ? "" : addresses.replaceAll("//[^@/,]*@", "//");
  }

  /** Tells of the connection's ups and downs, and when jnats has given it up. */
  private final class LogChanges implements ConnectionListener {
    private final CountDownLatch ended;
    private boolean connected;

    LogChanges(CountDownLatch ended) {
      this.ended = ended;
    }

    // The newer method has this one as its default; the interface wants it implemented.
    @SuppressWarnings("deprecation")
    @Override
    public void connectionEvent(Connection current, Events event) {
      switch (event) {
        case CLOSED:
          ended.countDown();
          break;
        case CONNECTED:
          connected = true;
          break;
        case RECONNECTED:
          LOG.info(
              "Connected to NATS again at {}.", withoutCredentials(current.getConnectedUrl()));
          break;
        case DISCONNECTED:
          // Told of each vain try as well.
          if (connected && !closed) {
            lost.warn(LOG, "The connection to NATS at {} was lost; trying on.", servers);
          }
          break;
        default:
          LOG.debug("NATS connection: {}", event);
      }
    }
  }

  /** Writes what jnats reports into Flink's log instead of the standard error. */
  private static final class LogErrors implements ErrorListener {
    private final Seldom seldom = new Seldom(Duration.ofSeconds(5));

    @Override
    public void errorOccurred(Connection current, String error) {
      seldom.warn(LOG, "NATS reports: {}", error);
    }

    @Override
    public void exceptionOccurred(Connection current, Exception exception) {
      // Most are vain tries to connect, which are told elsewhere.
      LOG.debug("NATS connection: {}", exception.toString());
    }

    @Override
    public void slowConsumerDetected(Connection current, Consumer consumer) {
      seldom.warn(LOG, "NATS messages came faster than they were taken.");
    }
  }
}
