package io.drey.flink;

import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.common.resources.CPUResource;
import org.apache.flink.api.common.resources.ExternalResource;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.runtime.clusterframework.TaskExecutorProcessSpec;
import org.apache.flink.runtime.clusterframework.TaskExecutorProcessUtils;
import org.apache.flink.runtime.resourcemanager.WorkerResourceSpec;
import org.apache.flink.runtime.resourcemanager.WorkerResourceSpecFactory;
import org.apache.flink.runtime.util.config.memory.ProcessMemoryUtils;

/** What one worker needs of Mesos and what its TaskManager is started with, as Flink computes it. */
final class WorkerSize {
  private static final long BYTES_PER_MB = 1 << 20;
  private static final String GPU = "gpu";

  final double cpus;
  final long memMb;
  final int slots;
  final double gpus;
  /** {@code -Xmx… -Xms…}. */
  final String jvm;
  /** {@code key=value}, one by one. */
  final List<String> dynamic;

  /** The size of the worker that Flink asks for. */
  WorkerSize(TaskExecutorProcessSpec spec, Configuration configuration) {
    this.cpus = spec.getCpuCores().getValue().doubleValue();
    long bytes = spec.getTotalProcessMemorySize().getBytes();
    this.memMb = (bytes + BYTES_PER_MB - 1) / BYTES_PER_MB;
    this.slots = spec.getNumSlots();
    ExternalResource gpu = spec.getExtendedResources().get(GPU);
    this.gpus = gpu == null ? configuration.get(DreyOptions.GPUS) : gpu.getValue().doubleValue();
    this.jvm = ProcessMemoryUtils.generateJvmParametersStr(spec);
    this.dynamic = properties(TaskExecutorProcessUtils.generateDynamicConfigsStr(spec));
  }

  /** Takes {@code -D k=v -D k=v} apart; a value that Flink quoted for a shell loses its quotes. */
  private static List<String> properties(String options) {
    List<String> properties = new ArrayList<>();
    for (String part : options.split("-D ")) {
      String property = part.trim();
      if (!property.isEmpty()) {
        properties.add(property.replace("\"", ""));
      }
    }
    return List.copyOf(properties);
  }

  /** The default worker: CPUs in the order of the old Mesos integration. */
  static final class DefaultSpec extends WorkerResourceSpecFactory {
    @Override
    public WorkerResourceSpec createDefaultWorkerResourceSpec(Configuration configuration) {
      double cpus =
          TaskExecutorProcessUtils.getCpuCoresWithFallbackConfigOption(
              configuration, DreyOptions.CPUS);
      return workerResourceSpecFromConfigAndCpu(configuration, new CPUResource(cpus));
    }
  }
}
