package stroke.connect.transforms;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Map;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.source.SourceRecord;
import org.junit.jupiter.api.Test;

class MaskColumnTest {
  private static final String CANARY = "Zoë Canary";

  private static MaskColumn<SourceRecord> mask(Map<String, String> settings) {
    MaskColumn<SourceRecord> transform = new MaskColumn<>();
    transform.configure(settings);
    return transform;
  }

  private static Struct after(SourceRecord record) {
    return ((Struct) record.value()).getStruct("after");
  }

  private static SourceRecord named(String name) {
    return Events.with("name", Schema.OPTIONAL_STRING_SCHEMA, name);
  }

  @Test
  void aNameIsHiddenBeforeAndAfterTheChange() {
    Schema row = Events.rowOf("name", Schema.OPTIONAL_STRING_SCHEMA);
    Struct named = new Struct(row).put("id", 5L).put("name", CANARY);

    SourceRecord masked =
        mask(Map.of("columns", "name")).apply(Events.event(row, named, named));

    assertEquals("***", after(masked).get("name"));
    assertEquals("***", ((Struct) masked.value()).getStruct("before").get("name"));
    assertEquals(5L, after(masked).get("id"));
    assertFalse(masked.toString().contains(CANARY));
  }

  @Test
  void aSaltMakesItTheKeyedHashOfTheName() {
    SourceRecord masked = mask(Map.of("columns", "name", "salt", "pepper")).apply(named(CANARY));

    // python: hmac.new(b"pepper", "Zoë Canary".encode(), "sha256").hexdigest()
    assertEquals("7cb1ba8af6f7a4425a1c9e42de42b75240f2ab4739c0d369e0db5f307b558b2f", after(masked).get("name"));
  }

  @Test
  void anEmptySaltIsNone() {
    SourceRecord masked = mask(Map.of("columns", "name", "salt", "")).apply(named(CANARY));

    assertEquals("***", after(masked).get("name"));
  }

  @Test
  void aNullStaysNull() {
    assertNull(after(mask(Map.of("columns", "name")).apply(named(null))).get("name"));
  }

  @Test
  void aColumnThatIsNoTextIsRefusedWithoutItsValue() {
    SourceRecord number = Events.with("name", Schema.INT64_SCHEMA, 123456789L);

    DataException refusal =
        assertThrows(
            DataException.class, () -> mask(Map.of("columns", "name")).apply(number));

    assertFalse(refusal.getMessage().contains("123456789"));
  }

  @Test
  void aColumnThatIsNoTextAnyMoreIsHiddenWholly() {
    SourceRecord number = Events.with("name", Schema.OPTIONAL_INT64_SCHEMA, 123456789L);

    assertNull(after(mask(Map.of("columns", "name")).apply(number)).get("name"));
  }

  @Test
  void heartbeatsAndTombstonesPass() {
    MaskColumn<SourceRecord> transform = mask(Map.of("columns", "name"));
    SourceRecord beat = Events.heartbeat();
    SourceRecord tombstone = Events.tombstone();

    assertSame(beat, transform.apply(beat));
    assertSame(tombstone, transform.apply(tombstone));
  }

  @Test
  void columnsMustBeNamed() {
    assertThrows(ConfigException.class, () -> mask(Map.of()));
  }
}
