package stroke.connect.transforms;

import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.source.SourceRecord;

/** Change events for the tests: a row of the given columns, as Debezium wraps it. */
final class Events {
  private Events() {}

  static Schema rowOf(String column, Schema type) {
    return SchemaBuilder.struct()
        .name("server.database.predictions.Value")
        .optional()
        .field("id", Schema.INT64_SCHEMA)
        .field(column, type)
        .build();
  }

  static SourceRecord event(Schema row, Struct before, Struct after) {
    Schema envelope =
        SchemaBuilder.struct()
            .name("server.database.predictions.Envelope")
            .field("before", row)
            .field("after", row)
            .field("op", Schema.STRING_SCHEMA)
            .build();
    Struct event =
        new Struct(envelope).put("before", before).put("after", after).put("op", "u");
    return new SourceRecord(null, null, "topic", 0, envelope, event);
  }

  static SourceRecord with(String column, Schema type, Object value) {
    Schema row = rowOf(column, type);
    return event(row, null, new Struct(row).put("id", 1L).put(column, value));
  }

  static SourceRecord heartbeat() {
    Schema beat = SchemaBuilder.struct().field("ts_ms", Schema.INT64_SCHEMA).build();
    return new SourceRecord(null, null, "topic", 0, beat, new Struct(beat).put("ts_ms", 1L));
  }

  static SourceRecord tombstone() {
    return new SourceRecord(null, null, "topic", 0, null, null);
  }
}
