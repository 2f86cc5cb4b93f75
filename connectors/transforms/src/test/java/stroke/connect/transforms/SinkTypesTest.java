package stroke.connect.transforms;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.connect.data.Decimal;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.source.SourceRecord;
import org.junit.jupiter.api.Test;

class SinkTypesTest {
  private static final Schema TIME =
      SchemaBuilder.int64().name("io.debezium.time.MicroTime").optional().build();
  private static final Schema GEOMETRY =
      SchemaBuilder.struct()
          .name("io.debezium.data.geometry.Geometry")
          .optional()
          .field("wkb", Schema.BYTES_SCHEMA)
          .field("srid", Schema.OPTIONAL_INT32_SCHEMA)
          .build();
  private static final Schema VECTOR =
      SchemaBuilder.array(Schema.FLOAT32_SCHEMA).name("io.debezium.data.FloatVector").build();

  private static SinkTypes<SourceRecord> transform(String types) {
    SinkTypes<SourceRecord> made = new SinkTypes<>();
    made.configure(Map.of("types", types));
    return made;
  }

  private static Struct changed(Schema type, Object value) {
    SourceRecord record = Events.with("ward", type, value);
    Struct event =
        (Struct) transform("time,decimal,geometry,vector").apply(record).value();
    event.validate();
    return event.getStruct("after");
  }

  private static Schema decimal(Integer digits) {
    SchemaBuilder builder = Decimal.builder(2).optional();
    return (digits == null
            ? builder
            : builder.parameter("connect.decimal.precision", digits.toString()))
        .build();
  }

  @Test
  void aTimeBecomesTextAlsoBelowZeroAndBeyondADay() {
    assertEquals("-838:59:59.000001", changed(TIME, -3_020_399_000_001L).get("ward"));
    assertEquals("00:00:00.000000", changed(TIME, 0L).get("ward"));
    assertEquals("-00:00:00.500000", changed(TIME, -500_000L).get("ward"));
    assertEquals("25:01:02.000003", changed(TIME, 90_062_000_003L).get("ward"));
  }

  @Test
  void aDecimalBecomesTextOnlyWithMoreDigitsThanSinksHold() {
    BigDecimal value = new BigDecimal("-12.30");

    assertEquals("-12.30", changed(decimal(39), value).get("ward"));
    assertEquals("-12.30", changed(decimal(null), value).get("ward"));
    assertEquals(value, changed(decimal(38), value).get("ward"));
  }

  @Test
  void aGeometryBecomesTheBytesThatMysqlStores() {
    Struct shape = new Struct(GEOMETRY).put("wkb", new byte[] {1, 2}).put("srid", 4326);
    Struct flat = new Struct(GEOMETRY).put("wkb", ByteBuffer.wrap(new byte[] {3}));

    assertArrayEquals(
        new byte[] {(byte) 0xe6, 0x10, 0, 0, 1, 2}, changed(GEOMETRY, shape).getBytes("ward"));
    assertArrayEquals(new byte[] {0, 0, 0, 0, 3}, changed(GEOMETRY, flat).getBytes("ward"));
  }

  @Test
  void aVectorBecomesTheBytesThatMysqlStores() {
    assertArrayEquals(
        new byte[] {0, 0, (byte) 0x80, 0x3f, 0, 0, 0, (byte) 0xc0},
        changed(VECTOR, List.of(1f, -2f)).getBytes("ward"));
  }

  @Test
  void aNullStaysNull() {
    assertNull(changed(TIME, null).get("ward"));
    assertNull(changed(GEOMETRY, null).get("ward"));
    assertNull(changed(decimal(65), null).get("ward"));
  }

  @Test
  void theRowBeforeIsChangedAsTheOneAfter() {
    Schema row = Events.rowOf("ward", TIME);
    Struct before = new Struct(row).put("id", 1L).put("ward", -1L);
    Struct event =
        (Struct) transform("time").apply(Events.event(row, before, null)).value();

    assertEquals("-00:00:00.000001", event.getStruct("before").get("ward"));
    assertNull(event.getStruct("after"));
  }

  @Test
  void whatIsNotListedPassesAsItIs() {
    SourceRecord time = Events.with("ward", TIME, 1L);
    SourceRecord text = Events.with("ward", Schema.OPTIONAL_STRING_SCHEMA, "a");

    assertSame(time, transform("decimal").apply(time));
    assertSame(text, transform("time,decimal,geometry,vector").apply(text));
    assertSame(Events.heartbeat().getClass(), transform("time").apply(Events.heartbeat()).getClass());
    SourceRecord tombstone = Events.tombstone();
    assertSame(tombstone, transform("time").apply(tombstone));
  }

  @Test
  void anUnknownKindIsRefused() {
    assertThrows(ConfigException.class, () -> transform("time,tiem"));
  }
}
