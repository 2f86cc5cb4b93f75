package stroke.connect.converters;

import io.apicurio.registry.rest.client.exception.RestClientException;
import io.apicurio.registry.rest.v2.beans.Error;
import io.apicurio.registry.utils.converter.AvroConverter;
import java.io.IOException;
import java.util.function.Supplier;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.errors.RetriableException;

/**
 * Apicurio's Avro converter for which a registry that is away is no fault of the record.
 *
 * <p>The original fails alike on a broken record and on a registry that does not answer, so that a
 * sink which parks broken records in its dead-letter queue would park every record while the
 * registry restarts. Here the second is a {@link RetriableException}: Connect tries again, for as
 * long as {@code errors.retry.timeout} says.
 *
 * @param <T> what the serializer takes
 */
public class RegistryAvroConverter<T> extends AvroConverter<T> {
  private static final int SERVER_ERROR = 500;

  @Override
  public byte[] fromConnectData(String topic, Schema schema, Object value) {
    return retriable(() -> super.fromConnectData(topic, schema, value));
  }

  @Override
  public byte[] fromConnectData(String topic, Headers headers, Schema schema, Object value) {
    return retriable(() -> super.fromConnectData(topic, headers, schema, value));
  }

  @Override
  public SchemaAndValue toConnectData(String topic, byte[] value) {
    return retriable(() -> super.toConnectData(topic, value));
  }

  @Override
  public SchemaAndValue toConnectData(String topic, Headers headers, byte[] value) {
    return retriable(() -> super.toConnectData(topic, headers, value));
  }

  static <R> R retriable(Supplier<R> conversion) {
    try {
      return conversion.get();
    } catch (RuntimeException failure) {
      if (isRegistryAway(failure)) {
        // Without the cause's message: it may quote what was being sent.
        throw new RetriableException("the schema registry does not answer");
      }
      throw failure;
    }
  }

  private static boolean isRegistryAway(Throwable failure) {
    for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
      if (cause instanceof IOException) {
        return true;
      }
      if (cause instanceof RestClientException refusal) {
        return saysNothingOfTheRequest(refusal.getError());
      }
    }
    return false;
  }

  /** Whether no server answered (the client then makes up an error without a code), or it fails. */
  private static boolean saysNothingOfTheRequest(Error error) {
    return error == null || error.getErrorCode() == null || error.getErrorCode() >= SERVER_ERROR;
  }
}
