package stroke.connect.converters;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.util.Map;
import org.apache.kafka.connect.errors.RetriableException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RegistryAvroConverterTest {
  private static final byte[] UNKNOWN_SCHEMA = {0, 0, 0, 0, 77, 2};
  private static final byte[] NO_AVRO = "garbage".getBytes();

  private static RegistryAvroConverter<Object> converterFor(int port) {
    RegistryAvroConverter<Object> converter = new RegistryAvroConverter<>();
    converter.configure(
        Map.of(
            "apicurio.registry.url", "http://127.0.0.1:" + port + "/apis/registry/v2",
            "apicurio.registry.as-confluent", "true",
            "apicurio.registry.use-id", "contentId",
            "apicurio.registry.headers.enabled", "false"),
        false);
    return converter;
  }

  private static int freePort() throws IOException {
    try (ServerSocket probe = new ServerSocket(0)) {
      return probe.getLocalPort();
    }
  }

  @Test
  void aRegistryThatIsAwayIsTriedAgain() throws IOException {
    RegistryAvroConverter<Object> converter = converterFor(freePort());

    RetriableException refusal =
        assertThrows(
            RetriableException.class, () -> converter.toConnectData("topic", UNKNOWN_SCHEMA));

    assertEquals("the schema registry does not answer", refusal.getMessage());
  }

  @ParameterizedTest
  @CsvSource({"404, false", "500, true", "503, true"})
  void aRegistryThatAnswersIsTriedAgainOnlyIfItFails(int status, boolean isTriedAgain)
      throws IOException {
    HttpServer registry = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
    registry.createContext(
        "/",
        exchange -> {
          byte[] body = ("{\"error_code\": " + status + ", \"message\": \"\"}").getBytes();
          exchange.getResponseHeaders().add("Content-Type", "application/json");
          exchange.sendResponseHeaders(status, body.length);
          exchange.getResponseBody().write(body);
          exchange.close();
        });
    registry.start();
    try {
      RegistryAvroConverter<Object> converter = converterFor(registry.getAddress().getPort());

      RuntimeException refusal =
          assertThrows(
              RuntimeException.class, () -> converter.toConnectData("topic", UNKNOWN_SCHEMA));

      assertEquals(isTriedAgain, refusal instanceof RetriableException);
    } finally {
      registry.stop(0);
    }
  }

  @Test
  void aBrokenRecordIsNotTriedAgain() throws IOException {
    RegistryAvroConverter<Object> converter = converterFor(freePort());

    RuntimeException refusal =
        assertThrows(RuntimeException.class, () -> converter.toConnectData("topic", NO_AVRO));

    assertFalse(refusal instanceof RetriableException);
  }

  @Test
  void aFailureOfTheDataStaysAsItWas() {
    IllegalStateException failure = new IllegalStateException("of the data");

    RuntimeException thrown =
        assertThrows(
            RuntimeException.class,
            () ->
                RegistryAvroConverter.retriable(
                    () -> {
                      throw failure;
                    }));

    assertEquals(failure, thrown);
  }
}
