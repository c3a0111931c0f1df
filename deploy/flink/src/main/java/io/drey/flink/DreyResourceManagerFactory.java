package io.drey.flink;

import java.util.UUID;
import java.util.concurrent.Executor;
import javax.annotation.Nullable;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.runtime.clusterframework.types.ResourceID;
import org.apache.flink.runtime.entrypoint.ClusterInformation;
import org.apache.flink.runtime.heartbeat.HeartbeatServices;
import org.apache.flink.runtime.metrics.groups.ResourceManagerMetricGroup;
import org.apache.flink.runtime.resourcemanager.ResourceManager;
import org.apache.flink.runtime.resourcemanager.ResourceManagerRuntimeServices;
import org.apache.flink.runtime.resourcemanager.ResourceManagerRuntimeServicesConfiguration;
import org.apache.flink.runtime.resourcemanager.active.ActiveResourceManagerFactory;
import org.apache.flink.runtime.resourcemanager.active.ResourceManagerDriver;
import org.apache.flink.runtime.rpc.FatalErrorHandler;
import org.apache.flink.runtime.rpc.RpcService;
import org.apache.flink.runtime.security.token.DelegationTokenManager;
import org.apache.flink.util.ConfigurationException;

/** Makes Flink's own active resource manager with drey behind it. */
final class DreyResourceManagerFactory extends ActiveResourceManagerFactory<DreyWorker> {
  @Override
  public ResourceManager<DreyWorker> createResourceManager(
      Configuration configuration,
      ResourceID resourceId,
      RpcService rpcService,
      UUID leaderSessionId,
      HeartbeatServices heartbeatServices,
      DelegationTokenManager delegationTokenManager,
      FatalErrorHandler fatalErrorHandler,
      ClusterInformation clusterInformation,
      @Nullable String webInterfaceUrl,
      ResourceManagerMetricGroup resourceManagerMetricGroup,
      ResourceManagerRuntimeServices runtimeServices,
      Executor ioExecutor) {
    return new DreyResourceManager(
        createResourceManagerDriver(configuration, webInterfaceUrl, rpcService.getAddress()),
        configuration,
        resourceId,
        rpcService,
        leaderSessionId,
        heartbeatServices,
        delegationTokenManager,
        fatalErrorHandler,
        clusterInformation,
        resourceManagerMetricGroup,
        runtimeServices,
        ioExecutor);
  }

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
