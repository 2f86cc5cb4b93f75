package stroke.connect.transforms;

import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.apache.kafka.common.config.AbstractConfig;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.types.Password;
import org.apache.kafka.connect.connector.ConnectRecord;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.errors.ConnectException;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.transforms.Transformation;

/**
 * Replaces columns of text before a change event leaves the source connector.
 *
 * <p>By {@code ***}, or, with a salt, by the lower-case hexadecimal HMAC-SHA-256 of the UTF-8 value
 * under that salt: equal values stay equal, and nobody without the salt can try names. Debezium's
 * own hashing has the salt in a setting's name, which no config provider can keep secret. NULL stays
 * NULL, and what is no text any more becomes NULL. Records that are no change events pass as they are.
 *
 * @param <R> the kind of record
 */
public class MaskColumn<R extends ConnectRecord<R>> implements Transformation<R> {
  private static final String COLUMNS = "columns";
  private static final String SALT = "salt";
  private static final String HIDDEN = "***";
  private static final String ALGORITHM = "HmacSHA256";
  private static final ConfigDef SETTINGS =
      new ConfigDef()
          .define(
              COLUMNS,
              ConfigDef.Type.LIST,
              ConfigDef.NO_DEFAULT_VALUE,
              ConfigDef.Importance.HIGH,
              "The columns to replace.")
          .define(
              SALT,
              ConfigDef.Type.PASSWORD,
              null,
              ConfigDef.Importance.HIGH,
              "The key of the hash; without it columns become ***.");

  private List<String> columns = List.of();
  private SecretKeySpec key;

  @Override
  public void configure(Map<String, ?> settings) {
    AbstractConfig config = new AbstractConfig(SETTINGS, settings, false);
    columns = config.getList(COLUMNS);
    Password salt = config.getPassword(SALT);
    boolean isSalted = salt != null && !salt.value().isEmpty();
    key =
        isSalted
            ? new SecretKeySpec(salt.value().getBytes(StandardCharsets.UTF_8), ALGORITHM)
            : null;
  }

  @Override
  public R apply(R record) {
    if (!(record.value() instanceof Struct event) || !Envelope.isEnvelope(event.schema())) {
      return record;
    }
    Struct masked = new Struct(event.schema());
    for (Field field : event.schema().fields()) {
      Object value = event.getWithoutDefault(field.name());
      boolean isRow = Envelope.ROWS.contains(field.name()) && value != null;
      masked.put(field, isRow ? maskedRow((Struct) value) : value);
    }
    return record.newRecord(
        record.topic(),
        record.kafkaPartition(),
        record.keySchema(),
        record.key(),
        event.schema(),
        masked,
        record.timestamp(),
        record.headers());
  }

  private Struct maskedRow(Struct row) {
    Struct masked = new Struct(row.schema());
    for (Field field : row.schema().fields()) {
      Object value = row.getWithoutDefault(field.name());
      masked.put(field, columns.contains(field.name()) ? mask(field, value) : value);
    }
    return masked;
  }

  private String mask(Field column, Object value) {
    if (value == null) {
      return null;
    }
    if (!(value instanceof String text)) {
      if (column.schema().isOptional()) {
        return null;
      }
      throw new DataException("column " + column.name() + " is not text: it cannot be masked");
    }
    if (key == null) {
      return HIDDEN;
    }
    try {
      Mac mac = Mac.getInstance(ALGORITHM);
      mac.init(key);
      return HexFormat.of().formatHex(mac.doFinal(text.getBytes(StandardCharsets.UTF_8)));
    } catch (GeneralSecurityException missing) {
      throw new ConnectException("this Java has no " + ALGORITHM, missing);
    }
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
