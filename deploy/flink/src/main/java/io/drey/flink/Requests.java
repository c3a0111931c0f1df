package io.drey.flink;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import javax.annotation.Nullable;

/** The requests of Flink that are open, by number and by the worker that will serve them. */
final class Requests {
  private final Map<Integer, Request> byNumber = new HashMap<>();
  private final Map<String, Request> byWorker = new HashMap<>();

  /** One request, open until its future is completed. */
  static final class Request {
    final int n;
    final byte[] message;
    final CompletableFuture<DreyWorker> future = new CompletableFuture<>();
    /** Null until it was sent for the first time. */
    @Nullable Demand.Question question;
    @Nullable private String worker;

    Request(int n, byte[] message) {
      this.n = n;
      this.message = message;
    }
  }

  void add(Request request) {
    byNumber.put(request.n, request);
  }

  /** drey has said which worker will serve it. */
  void name(Request request, String worker) {
    request.worker = worker;
    byWorker.put(worker, request);
  }

  void remove(Request request) {
    byNumber.remove(request.n);
    if (request.worker != null) {
      byWorker.remove(request.worker);
    }
  }

  @Nullable
  Request numbered(int n) {
    return byNumber.get(n);
  }

  @Nullable
  Request servedBy(String worker) {
    return byWorker.get(worker);
  }

  /** Whether a worker that is not known here may belong to one of them. */
  boolean mayBeServedByUnknown() {
    return byWorker.size() < byNumber.size();
  }

  List<Request> all() {
    return List.copyOf(byNumber.values());
  }
}
