package stroke.connect.transforms;

import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.connector.ConnectRecord;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.transforms.Transformation;

/**
 * Lets a change event say what MySQL holds, whichever way Debezium came to know the table.
 *
 * <ul>
 *   <li>Columns have no default values: Connect's data format reads a NULL in a column with a
 *       default as that default, so that a row without a timestamp would arrive with one.
 *   <li>A flag is an int16. MySQL keeps {@code BOOLEAN} as {@code TINYINT(1)}, and Debezium sees
 *       the former in a statement of the binlog, the latter in a snapshot: one column, two types,
 *       of which the registry refuses the second.
 *   <li>Every column but those of the key may be NULL. A consumer that reads old rows by the new
 *       schema has no value for a column that was added NOT NULL, and its NULLs do not fit one that
 *       became so: the registry would refuse either, and the connector stop.
 * </ul>
 *
 * <p>Records that are no change events (heartbeats, tombstones, signals) pass as they are.
 *
 * @param <R> the kind of record
 */
public class AsStored<R extends ConnectRecord<R>> implements Transformation<R> {
  private static final ConfigDef NO_SETTINGS = new ConfigDef();

  // Debezium makes one schema for a table and keeps it until the table changes.
  private final Map<Schema, Schema> envelopes = new ConcurrentHashMap<>();

  @Override
  public R apply(R record) {
    if (!(record.value() instanceof Struct event) || !Envelope.isEnvelope(event.schema())) {
      return record;
    }
    if (envelopes.size() > 100) {
      envelopes.clear();
    }
    Schema key = record.keySchema();
    Schema envelope =
        envelopes.computeIfAbsent(event.schema(), schema -> envelopeAsStored(schema, key));
    Struct changed = new Struct(envelope);
    for (Field field : envelope.fields()) {
      Object value = event.getWithoutDefault(field.name());
      boolean isRow = Envelope.ROWS.contains(field.name()) && value != null;
      changed.put(field, isRow ? rowAsStored((Struct) value, field.schema()) : value);
    }
    return record.newRecord(
        record.topic(),
        record.kafkaPartition(),
        record.keySchema(),
        record.key(),
        envelope,
        changed,
        record.timestamp(),
        record.headers());
  }

  private static Struct rowAsStored(Struct row, Schema schema) {
    Struct changed = new Struct(schema);
    for (Field field : schema.fields()) {
      changed.put(field, valueAsStored(row.getWithoutDefault(field.name()), field.schema()));
    }
    return changed;
  }

  private static Object valueAsStored(Object value, Schema schema) {
    if (value instanceof Boolean flag) {
      return (short) (flag ? 1 : 0);
    }
    if (value instanceof Struct parts) { // a geometry: it must have the very schema of its column
      Struct copy = new Struct(schema);
      schema.fields().forEach(part -> copy.put(part, parts.getWithoutDefault(part.name())));
      return copy;
    }
    return value;
  }

  private static Schema envelopeAsStored(Schema schema, Schema key) {
    SchemaBuilder builder = Envelope.copyOf(schema);
    // before and after share a name, so they must share a schema.
    for (Field field : schema.fields()) {
      boolean isRow = Envelope.ROWS.contains(field.name());
      builder.field(field.name(), isRow ? rowAsStored(field.schema(), key) : field.schema());
    }
    return builder.build();
  }

  private static Schema rowAsStored(Schema schema, Schema key) {
    SchemaBuilder builder = Envelope.copyOf(schema);
    for (Field field : schema.fields()) {
      boolean isOfKey = Envelope.hasField(key, field.name());
      builder.field(field.name(), columnAsStored(field.schema(), isOfKey));
    }
    return builder.build();
  }

  private static Schema columnAsStored(Schema schema, boolean isOfKey) {
    SchemaBuilder builder =
        builderLike(schema).name(schema.name()).version(schema.version()).doc(schema.doc());
    if (schema.isOptional() || !isOfKey) {
      builder.optional();
    }
    if (Objects.nonNull(schema.parameters())) {
      builder.parameters(schema.parameters());
    }
    return builder.build();
  }

  /** A builder of the same type, with the parts that a geometry or a vector consists of. */
  private static SchemaBuilder builderLike(Schema schema) {
    return switch (schema.type()) {
      case BOOLEAN -> SchemaBuilder.int16();
      case ARRAY -> SchemaBuilder.array(schema.valueSchema());
      case MAP -> SchemaBuilder.map(schema.keySchema(), schema.valueSchema());
      case STRUCT -> {
        SchemaBuilder builder = SchemaBuilder.struct();
        schema.fields().forEach(part -> builder.field(part.name(), part.schema()));
        yield builder;
      }
      default -> SchemaBuilder.type(schema.type());
    };
  }

  @Override
  public ConfigDef config() {
    return NO_SETTINGS;
  }

  @Override
  public void configure(Map<String, ?> settings) {
    // there are none
  }

  @Override
  public void close() {
    envelopes.clear();
  }
}
