package io.drey.flink;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import javax.annotation.Nullable;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.IllegalConfigurationException;

/** The configuration keys that the driver reads from Flink's configuration. */
final class DreyOptions {
  static final ConfigOption<String> CLUSTER = text("drey.cluster");
  /** Comma list of {@code nats://host:port} or {@code tls://host:port}. */
  static final ConfigOption<String> NATS_SERVERS = text("drey.nats.servers");
  static final ConfigOption<String> NATS_USER = text("drey.nats.user");
  static final ConfigOption<String> NATS_PASSWORD = text("drey.nats.password");
  static final ConfigOption<String> NATS_TOKEN = text("drey.nats.token");
  /** Path of a credentials file (user JWT and key). */
  static final ConfigOption<String> NATS_CREDENTIALS = text("drey.nats.credentials");
  /** Path of a file that holds the seed of a user's nkey. */
  static final ConfigOption<String> NATS_NKEY = text("drey.nats.nkey");
  /** PEM files: the authority of the servers, and a certificate of our own with its key (PKCS 8). */
  static final ConfigOption<String> NATS_TLS_CA = text("drey.nats.tls.ca");

  static final ConfigOption<String> NATS_TLS_CERTIFICATE = text("drey.nats.tls.certificate");
  static final ConfigOption<String> NATS_TLS_KEY = text("drey.nats.tls.key");

  /** How long a worker that has not registered is kept after Flink has stopped wanting it. */
  static final ConfigOption<Duration> SURPLUS_HOLD =
      ConfigOptions.key("drey.driver.surplus-hold")
          .durationType()
          .defaultValue(Duration.ofSeconds(10));

  /** CPUs of a worker where {@code taskmanager.cpu.cores} is not set; 0: one for each slot. */
  static final ConfigOption<Double> CPUS =
      ConfigOptions.key("mesos.resourcemanager.tasks.cpus").doubleType().defaultValue(0.0);
  /** GPUs of a worker where Flink itself asks for none. */
  static final ConfigOption<Integer> GPUS =
      ConfigOptions.key("mesos.resourcemanager.tasks.gpus").intType().defaultValue(0);

  /** What can be one token of a subject, as in {@code proto/subjects.ts}. */
  private static final Pattern CLUSTER_NAME = Pattern.compile("[A-Za-z0-9_-]{1,64}");

  private DreyOptions() {}

  /**
   * The cluster's name.
   *
   * @throws IllegalConfigurationException when it is missing or cannot be part of a subject.
   */
  static String cluster(Configuration configuration) {
    String name = required(configuration, CLUSTER);
    if (!CLUSTER_NAME.matcher(name).matches()) {
      throw new IllegalConfigurationException(
          CLUSTER.key() + " \"" + name + "\" may hold letters, digits, - and _ only (1 to 64)");
    }
    return name;
  }

  /**
   * The NATS servers, at least one.
   *
   * @throws IllegalConfigurationException when none is named.
   */
  static String[] servers(Configuration configuration) {
    List<String> servers = new ArrayList<>();
    for (String server : required(configuration, NATS_SERVERS).split(",")) {
      if (!server.isBlank()) {
        servers.add(server.trim());
      }
    }
    if (servers.isEmpty()) {
      throw new IllegalConfigurationException(NATS_SERVERS.key() + " names no server");
    }
    return servers.toArray(new String[0]);
  }

  /**
   * The path of a file that a key names, or null where it names none.
   *
   * @throws IllegalConfigurationException when it cannot be read.
   */
  @Nullable
  static String file(Configuration configuration, ConfigOption<String> option) {
    String path = configuration.get(option);
    if (path != null && !Files.isReadable(Path.of(path))) {
      throw new IllegalConfigurationException(
          option.key() + " names a file that cannot be read: " + path);
    }
    return path;
  }

  private static String required(Configuration configuration, ConfigOption<String> option) {
    String value = configuration.get(option);
    if (value == null || value.isBlank()) {
      throw new IllegalConfigurationException(
          option.key() + " is not set: the driver needs it to reach drey");
    }
    return value.trim();
  }

  private static ConfigOption<String> text(String key) {
    return ConfigOptions.key(key).stringType().noDefaultValue();
  }
}
