package stroke.connect.transforms;

import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.connector.ConnectRecord;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.header.Headers;

/**
 * Dead letters of a source connector, with the headers that Connect gives those of a sink.
 *
 * <p>The text is the value: its schema never changes, so that the registry takes every letter.
 */
final class Letters {
  static final String TOPIC = "topic";
  static final String CONNECTOR = "connector";
  private static final String HEADER = "__connect.errors.";

  private Letters() {}

  static ConfigDef settings(ConfigDef others) {
    return others
        .define(
            TOPIC,
            ConfigDef.Type.STRING,
            ConfigDef.NO_DEFAULT_VALUE,
            ConfigDef.Importance.HIGH,
            "Where such events go.")
        .define(
            CONNECTOR,
            ConfigDef.Type.STRING,
            ConfigDef.NO_DEFAULT_VALUE,
            ConfigDef.Importance.HIGH,
            "The connector that they are from.");
  }

  /** The letter about {@code record}; {@code reason} quotes no value of a row. */
  static <R extends ConnectRecord<R>> R about(
      R record,
      String topic,
      String connector,
      Class<?> by,
      Class<? extends Exception> exception,
      String reason,
      String text) {
    Headers headers =
        record
            .headers()
            .duplicate()
            .addString(HEADER + "topic", record.topic())
            .addString(HEADER + "partition", "0")
            .addString(HEADER + "connector.name", connector)
            .addString(HEADER + "stage", "TRANSFORMATION")
            .addString(HEADER + "class.name", by.getName())
            .addString(HEADER + "exception.class.name", exception.getName())
            .addString(HEADER + "exception.message", reason);
    return record.newRecord(
        topic,
        null,
        record.keySchema(),
        record.key(),
        Schema.STRING_SCHEMA,
        text,
        record.timestamp(),
        headers);
  }
}
