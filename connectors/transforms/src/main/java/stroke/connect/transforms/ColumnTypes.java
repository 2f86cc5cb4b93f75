package stroke.connect.transforms;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.connect.data.Schema;

/** The setting {@code columns}: name and type of each, as in {@code id:int64,gender:string(10)}. */
final class ColumnTypes {
  static final String COLUMNS = "columns";
  private static final Pattern COLUMN = Pattern.compile("(\\w+):(\\w+)(?:\\((\\d+)\\))?");

  /** What a column is to be; a text has at most {@code length} characters. */
  record ColumnType(Schema.Type type, int length) {}

  private ColumnTypes() {}

  static ConfigDef settings() {
    return new ConfigDef()
        .define(
            COLUMNS,
            ConfigDef.Type.LIST,
            ConfigDef.NO_DEFAULT_VALUE,
            ConfigDef.Importance.HIGH,
            "Name and type of each column: id:int64,gender:string(10),age:float64.");
  }

  static Map<String, ColumnType> of(List<String> columns) {
    Map<String, ColumnType> types = new TreeMap<>();
    for (String column : columns) {
      Matcher parts = COLUMN.matcher(column);
      if (!parts.matches()) {
        throw new ConfigException(COLUMNS, column, "is not like name:type or name:string(length)");
      }
      types.put(parts.group(1), typeOf(column, parts));
    }
    return types;
  }

  private static ColumnType typeOf(String column, Matcher parts) {
    try {
      Schema.Type type = Schema.Type.valueOf(parts.group(2).toUpperCase(Locale.ROOT));
      String length = parts.group(3);
      return new ColumnType(type, length == null ? Integer.MAX_VALUE : Integer.parseInt(length));
    } catch (IllegalArgumentException unknown) {
      throw new ConfigException(COLUMNS, column, "names no type of Connect's");
    }
  }
}
