package io.drey.flink;

import javax.annotation.Nullable;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.runtime.resourcemanager.ResourceManagerRuntimeServicesConfiguration;
import org.apache.flink.runtime.resourcemanager.active.ActiveResourceManagerFactory;
import org.apache.flink.runtime.resourcemanager.active.ResourceManagerDriver;
import org.apache.flink.util.ConfigurationException;

/** Makes Flink's own active resource manager with drey behind it. */
final class DreyResourceManagerFactory extends ActiveResourceManagerFactory<DreyWorker> {
  @Override
  protected ResourceManagerDriver<DreyWorker> createResourceManagerDriver(
      Configuration configuration, @Nullable String webInterfaceUrl, String rpcAddress) {
    return new DreyDriver(configuration);
  }

  @Override
  protected ResourceManagerRuntimeServicesConfiguration
      createResourceManagerRuntimeServicesConfiguration(Configuration configuration)
          throws ConfigurationException {
    return ResourceManagerRuntimeServicesConfiguration.fromConfiguration(
        configuration, new WorkerSize.DefaultSpec());
  }
}
