package io.drey.flink;

import java.io.PrintStream;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.GlobalConfiguration;
import org.apache.flink.configuration.IllegalConfigurationException;
import org.apache.flink.runtime.entrypoint.ClusterEntrypointUtils;
import org.apache.flink.runtime.entrypoint.EntrypointClusterConfiguration;
import org.apache.flink.runtime.entrypoint.EntrypointClusterConfigurationParserFactory;

/** Prints one line of JSON: what the configured default TaskManager needs, where no driver asks. */
public final class WorkerDefaults {
  private WorkerDefaults() {}

  /** {@code --configDir <dir> -Dkey=value ...}; exits 1 when the configuration does not add up. */
  public static void main(String[] arguments) {
    // The line must stand alone: whatever Flink logs goes to the standard error.
    PrintStream out = System.out;
    System.setOut(System.err);
    EntrypointClusterConfiguration entrypoint =
        ClusterEntrypointUtils.parseParametersOrExit(
            arguments, new EntrypointClusterConfigurationParserFactory(), WorkerDefaults.class);
    try {
      Configuration dynamic = new Configuration();
      entrypoint
          .getDynamicProperties()
          .forEach((key, value) -> dynamic.setString((String) key, (String) value));
      Configuration configuration =
          GlobalConfiguration.loadConfiguration(entrypoint.getConfigDir(), dynamic);
      out.println(Messages.line(WorkerSize.configured(configuration)));
    } catch (IllegalConfigurationException e) {
      System.err.println("The TaskManager's configuration does not add up: " + e.getMessage());
      System.exit(1);
    }
  }
}
