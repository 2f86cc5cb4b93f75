package stroke.connect.secrets;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.common.config.ConfigException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SecretFilesTest {
  @TempDir Path folder;

  private Map<String, String> given(String... names) {
    return provider().get("", Set.of(names)).data();
  }

  private SecretFiles provider() {
    Map<String, String> environment =
        Map.of("STROKE_A", "from the environment", "MYSQL_HOST", "mysql", "HOME", "/tmp");
    SecretFiles provider = new SecretFiles(environment::get);
    provider.configure(
        Map.of(
            "allowlist.pattern", "^(MYSQL|STROKE)_.*", "folders", folder + "/missing, " + folder));
    return provider;
  }

  @Test
  void aFileComesBeforeTheEnvironmentAndIsReadEachTime() throws IOException {
    assertEquals(Map.of("STROKE_A", "from the environment"), given("STROKE_A"));
    Files.writeString(folder.resolve("STROKE_A"), "first");
    assertEquals(Map.of("STROKE_A", "first"), given("STROKE_A"));
    Files.writeString(folder.resolve("STROKE_A"), "second\n");
    assertEquals(Map.of("STROKE_A", "second", "MYSQL_HOST", "mysql"), given("STROKE_A", "MYSQL_HOST"));
  }

  @Test
  void oneLineBreakAtTheEndIsNoPartOfAValue() throws IOException {
    Files.writeString(folder.resolve("STROKE_A"), " a\nb\n\n");
    assertEquals(Map.of("STROKE_A", " a\nb\n"), given("STROKE_A"));
    Files.writeString(folder.resolve("STROKE_A"), "");
    assertEquals(Map.of("STROKE_A", ""), given("STROKE_A"));
  }

  @Test
  void whatIsNowhereOrNotAllowedIsNotGiven() throws IOException {
    Files.writeString(folder.resolve("HOME"), "x");
    assertTrue(given("STROKE_B", "HOME", "stroke_a", "STROKE_/../HOME").isEmpty());
  }

  @Test
  void aPathIsRefused() {
    assertThrows(ConfigException.class, () -> provider().get("/etc", Set.of("passwd")));
    assertThrows(ConfigException.class, () -> provider().get(""));
  }

  @Test
  void withoutItsSettingsItDoesNotStart() {
    assertThrows(ConfigException.class, () -> new SecretFiles().configure(Map.of("folders", "/x")));
  }
}
