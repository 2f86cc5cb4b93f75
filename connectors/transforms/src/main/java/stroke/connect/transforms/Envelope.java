package stroke.connect.transforms;

import java.util.Objects;
import java.util.Set;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;

/** What Debezium's change events look like. */
final class Envelope {
  /** The fields that hold a row of the table. */
  static final Set<String> ROWS = Set.of("before", "after");

  private Envelope() {}

  /** Whether {@code schema} is that of a change event, and not of a heartbeat or a signal. */
  static boolean isEnvelope(Schema schema) {
    return schema != null
        && schema.type() == Schema.Type.STRUCT
        && schema.field("op") != null
        && ROWS.stream()
            .map(schema::field)
            .allMatch(
                field -> field != null && field.schema().type() == Schema.Type.STRUCT);
  }

  /** Whether {@code schema} is that of a struct with this field. */
  static boolean hasField(Schema schema, String name) {
    return schema != null && schema.type() == Schema.Type.STRUCT && schema.field(name) != null;
  }

  /** A builder with everything of a struct's schema but its fields. */
  static SchemaBuilder copyOf(Schema schema) {
    SchemaBuilder builder =
        SchemaBuilder.struct().name(schema.name()).version(schema.version()).doc(schema.doc());
    if (schema.isOptional()) {
      builder.optional();
    }
    if (Objects.nonNull(schema.parameters())) {
      builder.parameters(schema.parameters());
    }
    return builder;
  }
}
