package io.drey.flink;

import java.time.Duration;
import java.util.Collection;
import java.util.UUID;
import java.util.concurrent.Executor;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.ResourceManagerOptions;
import org.apache.flink.runtime.blocklist.BlocklistUtils;
import org.apache.flink.runtime.clusterframework.types.ResourceID;
import org.apache.flink.runtime.entrypoint.ClusterInformation;
import org.apache.flink.runtime.heartbeat.HeartbeatServices;
import org.apache.flink.runtime.io.network.partition.ResourceManagerPartitionTrackerImpl;
import org.apache.flink.runtime.metrics.groups.ResourceManagerMetricGroup;
import org.apache.flink.runtime.resourcemanager.ResourceManagerRuntimeServices;
import org.apache.flink.runtime.resourcemanager.active.ActiveResourceManager;
import org.apache.flink.runtime.resourcemanager.active.ActiveResourceManagerFactory;
import org.apache.flink.runtime.resourcemanager.active.ResourceManagerDriver;
import org.apache.flink.runtime.resourcemanager.slotmanager.ResourceDeclaration;
import org.apache.flink.runtime.rpc.FatalErrorHandler;
import org.apache.flink.runtime.rpc.RpcService;
import org.apache.flink.runtime.security.token.DelegationTokenManager;

/** Flink's own active resource manager, patient with workers that it seems to want no more. */
final class DreyResourceManager extends ActiveResourceManager<DreyWorker> {
  private final SurplusHold surplus;

  DreyResourceManager(
      ResourceManagerDriver<DreyWorker> driver,
      Configuration configuration,
      ResourceID resourceId,
      RpcService rpcService,
      UUID leaderSessionId,
      HeartbeatServices heartbeatServices,
      DelegationTokenManager delegationTokenManager,
      FatalErrorHandler fatalErrorHandler,
      ClusterInformation clusterInformation,
      ResourceManagerMetricGroup resourceManagerMetricGroup,
      ResourceManagerRuntimeServices runtimeServices,
      Executor ioExecutor) {
    super(
        driver,
        configuration,
        rpcService,
        leaderSessionId,
        resourceId,
        heartbeatServices,
        delegationTokenManager,
        runtimeServices.getSlotManager(),
        ResourceManagerPartitionTrackerImpl::new,
        BlocklistUtils.loadBlocklistHandlerFactory(configuration),
        runtimeServices.getJobLeaderIdService(),
        clusterInformation,
        fatalErrorHandler,
        resourceManagerMetricGroup,
        ActiveResourceManagerFactory.createStartWorkerFailureRater(configuration),
        configuration.get(ResourceManagerOptions.START_WORKER_RETRY_INTERVAL),
        configuration.get(ResourceManagerOptions.TASK_MANAGER_REGISTRATION_TIMEOUT),
        configuration.get(ResourceManagerOptions.RESOURCE_MANAGER_PREVIOUS_WORKER_RECOVERY_TIMEOUT),
        ioExecutor);
    Duration hold = configuration.get(DreyOptions.SURPLUS_HOLD);
    this.surplus = new SurplusHold(hold, this::scheduleRunAsync, super::declareResourceNeeded);
  }

  /** Flink's slot manager calls it through the allocator that this class hands out. */
  @Override
  public void declareResourceNeeded(Collection<ResourceDeclaration> declarations) {
    surplus.declare(declarations);
  }
}
