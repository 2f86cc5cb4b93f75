package stroke.connect.transforms;

import java.nio.ByteBuffer;
import java.util.Collection;
import java.util.Map;
import org.apache.kafka.common.config.AbstractConfig;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.connect.connector.ConnectRecord;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.transforms.Transformation;

/**
 * Parks records that are larger than Kafka takes.
 *
 * <p>The producer of a source connector fails on such a record, and goes on failing: what is in the
 * binlog stays there. Here a letter takes the record's place: it has the key, the headers that
 * Connect gives its own letters, and the sizes as text, {@code {"bytes":25000000}}. The row itself
 * stays in MySQL, and is sent again from there. A letter that another transformation has made, and
 * that is too large, loses its text only.
 *
 * <p>{@code max.bytes} is compared with an upper bound of the record's size in Avro. Put this after
 * every transformation that changes or adds a value.
 *
 * @param <R> the kind of record
 */
public class ParkLargeRecords<R extends ConnectRecord<R>> implements Transformation<R> {
  private static final String MAX_BYTES = "max.bytes";
  // The longest number of Avro takes 10 bytes; a length or a union's branch comes before a value.
  private static final long NUMBER = 10;
  private static final long BEFORE_A_VALUE = 6;
  private static final ConfigDef SETTINGS =
      Letters.settings(
          new ConfigDef()
              .define(
                  MAX_BYTES,
                  ConfigDef.Type.LONG,
                  ConfigDef.NO_DEFAULT_VALUE,
                  ConfigDef.Range.atLeast(1024),
                  ConfigDef.Importance.HIGH,
                  "The largest key and value together, in bytes."));

  private long most;
  private String topic;
  private String connector;

  @Override
  public void configure(Map<String, ?> settings) {
    AbstractConfig config = new AbstractConfig(SETTINGS, settings, false);
    most = config.getLong(MAX_BYTES);
    topic = config.getString(Letters.TOPIC);
    connector = config.getString(Letters.CONNECTOR);
  }

  @Override
  public R apply(R record) {
    long size = bytesOf(record.key()) + bytesOf(record.value());
    if (size <= most) {
      return record;
    }
    String sizes = "{\"bytes\":" + size + "}";
    if (topic.equals(record.topic())) {
      return record.newRecord(
          topic,
          record.kafkaPartition(),
          record.keySchema(),
          record.key(),
          Schema.STRING_SCHEMA,
          sizes,
          record.timestamp(),
          record.headers());
    }
    String reason = "the change event has " + size + " bytes, more than " + most;
    return Letters.about(
        record, topic, connector, getClass(), RecordTooLargeException.class, reason, sizes);
  }

  private static long bytesOf(Object value) {
    if (value == null) {
      return 1;
    }
    if (value instanceof String text) {
      return BEFORE_A_VALUE + inUtf8(text);
    }
    if (value instanceof byte[] bytes) {
      return BEFORE_A_VALUE + bytes.length;
    }
    if (value instanceof ByteBuffer bytes) {
      return BEFORE_A_VALUE + bytes.remaining();
    }
    if (value instanceof Struct row) {
      long sum = BEFORE_A_VALUE;
      for (Field field : row.schema().fields()) {
        sum += BEFORE_A_VALUE + bytesOf(row.getWithoutDefault(field.name()));
      }
      return sum;
    }
    if (value instanceof Map<?, ?> map) {
      return bytesOf(map.keySet()) + bytesOf(map.values());
    }
    if (value instanceof Collection<?> many) {
      long sum = BEFORE_A_VALUE;
      for (Object each : many) {
        sum += BEFORE_A_VALUE + bytesOf(each);
      }
      return sum;
    }
    if (value instanceof java.math.BigDecimal number) {
      return BEFORE_A_VALUE + number.unscaledValue().bitLength() / 8 + 1;
    }
    return NUMBER;
  }

  private static long inUtf8(String text) {
    long bytes = text.length();
    for (int at = 0; at < text.length(); at++) {
      char one = text.charAt(at);
      if (one >= 0x800 && !Character.isSurrogate(one)) {
        bytes += 2;
      } else if (one >= 0x80) {
        bytes++; // two characters of a surrogate pair are four bytes
      }
    }
    return bytes;
  }

  @Override
  public ConfigDef config() {
    return SETTINGS;
  }

  @Override
  public void close() {
    // nothing is held open
  }
}
