package io.drey.flink;

import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.IllegalConfigurationException;
import org.apache.flink.runtime.entrypoint.ClusterEntrypoint;
import org.apache.flink.runtime.entrypoint.ClusterEntrypointUtils;
import org.apache.flink.runtime.entrypoint.EntrypointClusterConfiguration;
import org.apache.flink.runtime.entrypoint.EntrypointClusterConfigurationParserFactory;
import org.apache.flink.runtime.entrypoint.SessionClusterEntrypoint;
import org.apache.flink.runtime.entrypoint.component.DefaultDispatcherResourceManagerComponentFactory;
import org.apache.flink.runtime.entrypoint.component.DispatcherResourceManagerComponentFactory;
import org.apache.flink.runtime.util.EnvironmentInformation;
import org.apache.flink.runtime.util.JvmShutdownSafeguard;
import org.apache.flink.runtime.util.SignalHandler;

/** The JobManager of a session cluster whose workers come from drey. */
public final class DreySessionEntrypoint extends SessionClusterEntrypoint {
  /** Flink's own code for a JobManager that could not start. */
  private static final int STARTUP_FAILURE = 1;

  private DreySessionEntrypoint(Configuration configuration) {
    super(configuration);
  }

  /** Runs until the cluster ends; {@code --configDir <dir> -Dkey=value ...}. */
  public static void main(String[] arguments) {
    EnvironmentInformation.logEnvironmentInfo(LOG, "drey session JobManager", arguments);
    SignalHandler.register(LOG);
    JvmShutdownSafeguard.installAsShutdownHook(LOG);
    EntrypointClusterConfiguration entrypoint =
        ClusterEntrypointUtils.parseParametersOrExit(
            arguments,
            new EntrypointClusterConfigurationParserFactory(),
            DreySessionEntrypoint.class);
    Configuration configuration = loadConfiguration(entrypoint);
    exitIfIncomplete(configuration);
    ClusterEntrypoint.runClusterEntrypoint(new DreySessionEntrypoint(configuration));
  }

  @Override
  protected DispatcherResourceManagerComponentFactory
      createDispatcherResourceManagerComponentFactory(Configuration configuration) {
    return DefaultDispatcherResourceManagerComponentFactory.createSessionComponentFactory(
        new DreyResourceManagerFactory());
  }

  /** Says at once what is missing: Flink would make the driver only when it has become leader. */
  private static void exitIfIncomplete(Configuration configuration) {
    try {
      new Demand(configuration, "").close();
    } catch (IllegalConfigurationException e) {
      LOG.error("The JobManager cannot start: {}", e.getMessage());
      System.err.println("The JobManager cannot start: " + e.getMessage());
      System.exit(STARTUP_FAILURE);
    }
  }
}
