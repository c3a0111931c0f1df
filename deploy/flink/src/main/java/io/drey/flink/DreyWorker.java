package io.drey.flink;

import org.apache.flink.runtime.clusterframework.types.ResourceID;
import org.apache.flink.runtime.clusterframework.types.ResourceIDRetrievable;

/** A worker by the id that drey gave it; its TaskManager registers with the same id. */
final class DreyWorker implements ResourceIDRetrievable {
  private final ResourceID resourceId;

  DreyWorker(String id) {
    this.resourceId = new ResourceID(id);
  }

  String id() {
    return resourceId.getResourceIdString();
  }

  @Override
  public ResourceID getResourceID() {
    return resourceId;
  }
}
