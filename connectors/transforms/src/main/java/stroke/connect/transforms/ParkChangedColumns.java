package stroke.connect.transforms;

import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.apache.kafka.common.config.AbstractConfig;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.connector.ConnectRecord;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.transforms.Transformation;
import stroke.connect.transforms.ColumnTypes.ColumnType;

/**
 * Parks change events of columns that are of another type than consumers know.
 *
 * <p>The registry refuses a schema by which old events cannot be read, and a source connector has no
 * dead-letter queue: one statement such as {@code MODIFY age VARCHAR(20)} would stop it for good,
 * since what is in the binlog stays there. Such an event goes to the dead-letter {@code topic}
 * instead, with its key, as JSON text (whose schema never changes) and with the headers that Connect
 * gives its own letters. The rest flows. {@code columns} lists the types that are known; columns
 * that are not listed pass.
 *
 * <p>Put it after {@link MaskColumn}, so that letters are masked, too.
 *
 * @param <R> the kind of record
 */
public class ParkChangedColumns<R extends ConnectRecord<R>> implements Transformation<R> {
  private static final ConfigDef SETTINGS = Letters.settings(ColumnTypes.settings());

  private final JsonConverter json = new JsonConverter();
  private Map<String, ColumnType> known = Map.of();
  private String topic;
  private String connector;

  @Override
  public void configure(Map<String, ?> settings) {
    AbstractConfig config = new AbstractConfig(SETTINGS, settings, false);
    known = ColumnTypes.of(config.getList(ColumnTypes.COLUMNS));
    topic = config.getString(Letters.TOPIC);
    connector = config.getString(Letters.CONNECTOR);
    json.configure(Map.of("schemas.enable", "false"), false);
  }

  @Override
  public R apply(R record) {
    if (!(record.value() instanceof Struct event) || !Envelope.isEnvelope(event.schema())) {
      return record;
    }
    // Both rows of an event are of one schema.
    String reason = changeOf(event.schema().field("after").schema());
    return reason == null ? record : letter(record, reason);
  }

  private String changeOf(Schema row) {
    for (Field field : row.fields()) {
      ColumnType column = known.get(field.name());
      if (column != null && inAvro(column.type()) != inAvro(field.schema().type())) {
        return "column " + field.name() + " is " + field.schema().type() + ", was " + column.type();
      }
    }
    return null;
  }

  private static Schema.Type inAvro(Schema.Type type) {
    return switch (type) {
      case INT8, INT16 -> Schema.Type.INT32;
      default -> type;
    };
  }

  private R letter(R record, String reason) {
    byte[] text = json.fromConnectData(record.topic(), record.valueSchema(), record.value());
    return Letters.about(
        record,
        topic,
        connector,
        getClass(),
        DataException.class,
        reason,
        new String(text, StandardCharsets.UTF_8));
  }

  @Override
  public ConfigDef config() {
    return SETTINGS;
  }

  @Override
  public void close() {
    json.close();
  }
}
