package io.drey.flink;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonProcessingException;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ArrayNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;

/** The JSON of {@code demand.*}: written and read as {@code proto/messages.ts} says. */
final class Messages {
  private static final ObjectMapper JSON = new ObjectMapper();

  private Messages() {}

  static byte[] recover(String session, String flinkVersion) {
    return bytes(from(session).put("flinkVersion", flinkVersion));
  }

  static byte[] request(String session, int n, WorkerSize size) {
    ObjectNode message = from(session).put("n", n);
    message
        .put("cpus", size.cpus)
        .put("memMb", size.memMb)
        .put("slots", size.slots)
        .put("gpus", size.gpus)
        .put("jvm", size.jvm);
    ArrayNode dynamic = message.putArray("dynamic");
    size.dynamic.forEach(dynamic::add);
    return bytes(message);
  }

  static byte[] releaseRequest(String session, int n) {
    return bytes(from(session).put("n", n));
  }

  static byte[] releaseWorker(String session, String worker) {
    return bytes(from(session).put("worker", worker));
  }

  static byte[] confirm(String session, List<String> workers) {
    ObjectNode message = from(session);
    ArrayNode ids = message.putArray("workers");
    workers.forEach(ids::add);
    return bytes(message);
  }

  static byte[] deregister(String session, String status, String diagnostics) {
    return bytes(from(session).put("status", status).put("diagnostics", diagnostics));
  }

  private static ObjectNode from(String session) {
    return JSON.createObjectNode().put("session", session);
  }

  private static byte[] bytes(ObjectNode message) {
    try {
      return JSON.writeValueAsBytes(message);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("a tree of plain values could not be written", e);
    }
  }

  /** A worker as {@code recover} answers it. */
  static final class Recovered {
    final String id;
    final WorkerState state;

    Recovered(String id, WorkerState state) {
      this.id = id;
      this.state = state;
    }
  }

  /** The answer to every message of the driver. */
  static final class Answer {
    final Status status;
    final String message;
    /** For {@code request}; null elsewhere. */
    final String worker;
    /** For {@code request}; null elsewhere. */
    final WorkerState state;
    /** For {@code recover}; empty elsewhere. */
    final List<Recovered> workers;

    private Answer(JsonNode json) throws IOException {
      this.status = Status.of(text(json, "status"));
      this.message = json.path("message").asText("");
      this.worker = json.path("worker").asText(null);
      this.state = json.has("state") ? WorkerState.of(text(json, "state")) : null;
      List<Recovered> recovered = new ArrayList<>();
      for (JsonNode worker : json.path("workers")) {
        recovered.add(new Recovered(text(worker, "id"), WorkerState.of(text(worker, "state"))));
      }
      this.workers = List.copyOf(recovered);
    }

    static Answer parse(byte[] data) throws IOException {
      return new Answer(JSON.readTree(data));
    }
  }

  /** {@code superseded}: another session holds Flink's side. */
  enum Status {
    OK,
    SUPERSEDED,
    REFUSED;

    private static Status of(String text) throws IOException {
      for (Status status : values()) {
        if (status.name().equalsIgnoreCase(text)) {
          return status;
        }
      }
      throw new IOException("unknown status \"" + text + "\"");
    }
  }

  /** How far a worker is. */
  enum WorkerState {
    WANTED,
    LAUNCHING,
    STARTING,
    RUNNING,
    UNREACHABLE,
    STOPPING,
    ENDED;

    private static WorkerState of(String text) throws IOException {
      for (WorkerState state : values()) {
        if (state.name().equalsIgnoreCase(text)) {
          return state;
        }
      }
      throw new IOException("unknown state \"" + text + "\"");
    }
  }

  /** {@code demand.launched}: the worker of a request is being launched. */
  static final class Launched {
    final String session;
    final int n;
    final String worker;

    private Launched(JsonNode json) throws IOException {
      this.session = text(json, "session");
      this.n = json.path("n").asInt();
      this.worker = text(json, "worker");
    }

    static Launched parse(byte[] data) throws IOException {
      return new Launched(JSON.readTree(data));
    }
  }

  /** {@code demand.ended}: a worker has ended. */
  static final class Ended {
    final String session;
    final String worker;
    final String why;

    private Ended(JsonNode json) throws IOException {
      this.session = text(json, "session");
      this.worker = text(json, "worker");
      this.why = text(json, "why");
    }

    static Ended parse(byte[] data) throws IOException {
      return new Ended(JSON.readTree(data));
    }
  }

  private static String text(JsonNode json, String field) throws IOException {
    JsonNode value = json.path(field);
    if (!value.isTextual()) {
      throw new IOException("\"" + field + "\" is not a text in " + json);
    }
    return value.asText();
  }
}
