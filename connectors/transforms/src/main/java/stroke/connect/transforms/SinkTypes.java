package stroke.connect.transforms;

import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.kafka.common.config.AbstractConfig;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.connect.connector.ConnectRecord;
import org.apache.kafka.connect.data.Decimal;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.transforms.Transformation;

/**
 * Gives a sink the values of columns that it could not store, in a form that every database stores.
 *
 * <p>A sink that cannot store a value fails with its whole task. {@code types} lists which kinds of
 * columns it cannot take:
 *
 * <ul>
 *   <li>{@code time}: MySQL's TIME is a duration, which may be negative or longer than a day. It
 *       becomes text, as {@code -838:59:59.000000}.
 *   <li>{@code decimal}: of more than 38 digits, which is the most that Iceberg and SQL Server
 *       hold. It becomes text, with every digit.
 *   <li>{@code geometry}: becomes the bytes that MySQL stores: the SRID in four bytes, the lowest
 *       first, and the WKB. Neither PostgreSQL nor Iceberg has the type without an extension.
 *   <li>{@code vector}: becomes the bytes that MySQL stores: four for each number, the lowest first.
 * </ul>
 *
 * <p>Other columns, and records that are no change events, pass as they are.
 *
 * @param <R> the kind of record
 */
public class SinkTypes<R extends ConnectRecord<R>> implements Transformation<R> {
  static final String TYPES = "types";
  private static final ConfigDef SETTINGS =
      new ConfigDef()
          .define(
              TYPES,
              ConfigDef.Type.LIST,
              ConfigDef.Importance.HIGH,
              "the kinds of columns to change: time, decimal, geometry, vector");

  private static final int MOST_DIGITS = 38;
  // Avro's converter leaves the number of digits out where it is this.
  private static final String DEFAULT_DIGITS = "64";
  private static final int BYTES_OF_SRID = 4;
  private static final long MICROS = 1_000_000;
  private static final long MINUTE = 60;

  private enum Kind {
    TIME,
    DECIMAL,
    GEOMETRY,
    VECTOR
  }

  private final Map<Schema, Schema> envelopes = new ConcurrentHashMap<>();
  private Set<Kind> wanted = Set.of();

  @Override
  public void configure(Map<String, ?> settings) {
    Set<Kind> found = EnumSet.noneOf(Kind.class);
    for (String name : new AbstractConfig(SETTINGS, settings, false).getList(TYPES)) {
      try {
        found.add(Kind.valueOf(name.toUpperCase(Locale.ROOT)));
      } catch (IllegalArgumentException error) {
        throw new ConfigException(TYPES, name, "is none of time, decimal, geometry, vector");
      }
    }
    wanted = found;
  }

  @Override
  public R apply(R record) {
    if (!(record.value() instanceof Struct event) || !Envelope.isEnvelope(event.schema())) {
      return record;
    }
    if (envelopes.size() > 100) {
      envelopes.clear();
    }
    Schema envelope = envelopes.computeIfAbsent(event.schema(), this::envelopeFor);
    if (envelope == event.schema()) {
      return record;
    }
    Struct changed = new Struct(envelope);
    for (Field field : envelope.fields()) {
      Object value = event.getWithoutDefault(field.name());
      boolean isRow = Envelope.ROWS.contains(field.name()) && value != null;
      changed.put(field, isRow ? rowFor((Struct) value, field.schema()) : value);
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

  private Struct rowFor(Struct row, Schema schema) {
    Struct changed = new Struct(schema);
    for (Field field : schema.fields()) {
      Object value = row.getWithoutDefault(field.name());
      Optional<Kind> kind = kindOf(row.schema().field(field.name()).schema());
      changed.put(
          field, value == null || kind.isEmpty() ? value : valueFor(kind.get(), value));
    }
    return changed;
  }

  /** Returns {@code schema} itself where it has no column to change. */
  private Schema envelopeFor(Schema schema) {
    Schema row = schema.field("after").schema();
    if (row.fields().stream().allMatch(field -> kindOf(field.schema()).isEmpty())) {
      return schema;
    }
    SchemaBuilder builder = Envelope.copyOf(schema);
    for (Field field : schema.fields()) {
      boolean isRow = Envelope.ROWS.contains(field.name());
      builder.field(field.name(), isRow ? rowFor(field.schema()) : field.schema());
    }
    return builder.build();
  }

  private Schema rowFor(Schema schema) {
    SchemaBuilder builder = Envelope.copyOf(schema);
    for (Field field : schema.fields()) {
      Optional<Kind> kind = kindOf(field.schema());
      builder.field(field.name(), kind.map(this::schemaFor).orElse(field.schema()));
    }
    return builder.build();
  }

  private Schema schemaFor(Kind kind) {
    return switch (kind) {
      case TIME, DECIMAL -> Schema.OPTIONAL_STRING_SCHEMA;
      case GEOMETRY, VECTOR -> Schema.OPTIONAL_BYTES_SCHEMA;
    };
  }

  private Optional<Kind> kindOf(Schema column) {
    return kindOfAny(column).filter(wanted::contains);
  }

  private static Optional<Kind> kindOfAny(Schema column) {
    if ("io.debezium.time.MicroTime".equals(column.name())) {
      return Optional.of(Kind.TIME);
    }
    if (Decimal.LOGICAL_NAME.equals(column.name())) {
      Map<String, String> parameters =
          Objects.requireNonNullElse(column.parameters(), Map.<String, String>of());
      String digits = parameters.getOrDefault("connect.decimal.precision", DEFAULT_DIGITS);
      return Integer.parseInt(digits) > MOST_DIGITS
          ? Optional.of(Kind.DECIMAL)
          : Optional.empty();
    }
    if (Envelope.hasField(column, "wkb") && Envelope.hasField(column, "srid")) {
      return Optional.of(Kind.GEOMETRY);
    }
    if (column.type() == Schema.Type.ARRAY
        && column.valueSchema().type() == Schema.Type.FLOAT32) {
      return Optional.of(Kind.VECTOR);
    }
    return Optional.empty();
  }

  private static Object valueFor(Kind kind, Object value) {
    return switch (kind) {
      case TIME -> textOf((Long) value);
      case DECIMAL -> ((BigDecimal) value).toPlainString();
      case GEOMETRY -> bytesOf((Struct) value);
      case VECTOR -> bytesOf((List<?>) value);
    };
  }

  private static String textOf(long micros) {
    long whole = Math.abs(micros);
    long seconds = whole / MICROS;
    return String.format(
        Locale.ROOT,
        "%s%02d:%02d:%02d.%06d",
        micros < 0 ? "-" : "",
        seconds / (MINUTE * MINUTE),
        seconds / MINUTE % MINUTE,
        seconds % MINUTE,
        whole % MICROS);
  }

  private static byte[] bytesOf(Struct geometry) {
    Object shape = geometry.get("wkb");
    byte[] wkb = shape instanceof ByteBuffer buffer ? copyOf(buffer) : (byte[]) shape;
    int srid = Objects.requireNonNullElse(geometry.getInt32("srid"), 0);
    return ByteBuffer.allocate(BYTES_OF_SRID + wkb.length)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putInt(srid)
        .put(wkb)
        .array();
  }

  private static byte[] copyOf(ByteBuffer buffer) {
    byte[] copied = new byte[buffer.remaining()];
    buffer.duplicate().get(copied);
    return copied;
  }

  private static byte[] bytesOf(List<?> numbers) {
    ByteBuffer buffer =
        ByteBuffer.allocate(Float.BYTES * numbers.size()).order(ByteOrder.LITTLE_ENDIAN);
    numbers.forEach(number -> buffer.putFloat((Float) number));
    return buffer.array();
  }

  @Override
  public ConfigDef config() {
    return SETTINGS;
  }

  @Override
  public void close() {
    envelopes.clear();
  }
}
