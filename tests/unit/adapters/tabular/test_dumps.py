# ruff: noqa: S608 -- these statements are read as text; no database runs them
from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stroke.adapters.tabular.dumps import DumpRow, rows_of_dump
from stroke.application.predictions.file_rows import DumpKind, TextLimits
from stroke.domain.errors import InvalidData

CREATE = """\
-- MySQL dump 10.13
/*!40101 SET @saved_cs_client     = @@character_set_client */;
CREATE TABLE `predictions` (
  `id` int NOT NULL AUTO_INCREMENT,
  `name` varchar(100) DEFAULT NULL COMMENT 'it''s; a name',
  `age` float DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `by_name` (`name`)
) ENGINE=InnoDB AUTO_INCREMENT=9 DEFAULT CHARSET=utf8mb4;
LOCK TABLES `predictions` WRITE;
"""


MYSQL = "/*!40101 SET NAMES utf8mb4 */;\n"


def rows(dump: str) -> list[DumpRow]:
    return list(rows_of_dump(io.StringIO(dump, newline="")))


def cells_of(found: list[DumpRow]) -> list[dict[str, object]]:
    """Return the cells of the rows that could be read."""
    return [cells for _, _, cells in found if isinstance(cells, dict)]


def names(dump: str) -> list[object]:
    return [
        cells["name"] if isinstance(cells, dict) else cells for _, _, cells in rows_of_dump([dump])
    ]


def test_columns_come_from_the_dump_s_create_table() -> None:
    insert = "INSERT INTO `predictions` VALUES (1,'a',45.5),(2,NULL,-1.5e-7);\n"

    assert rows(CREATE + insert + "UNLOCK TABLES;\n") == [
        (11, 1, {"id": "1", "name": "a", "age": "45.5"}),
        (11, 2, {"id": "2", "name": None, "age": "-1.5e-7"}),
    ]


def test_a_column_list_of_the_insert_counts_more() -> None:
    insert = "insert into predictions (age, id) values (1, 2), (NULL, 3);\n"

    assert rows(CREATE + insert) == [
        (11, 1, {"age": "1", "id": "2"}),
        (11, 2, {"age": None, "id": "3"}),
    ]


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        (r"'O\'Brien'", "O'Brien"),
        ("'O''Brien'", "O'Brien"),
        (r"'\"quoted\"'", '"quoted"'),
        (r"'back\\slash\\'", "back\\slash\\"),
        (r"'{\"a\": \"x\\ny\"}'", '{"a": "x\\ny"}'),
        (r"'line\nfeed\r\t\0\Z'", "line\nfeed\r\t\0\x1a"),
        ("'山田 😀'", "山田 😀"),
        ("'a; b), (c -- d /* e #'", "a; b), (c -- d /* e #"),
        ("'NULL'", "NULL"),
        ("''", ""),
        ("_utf8mb4'a'", "a"),
        ("0xC3A9", "é"),
        ('"double"', "double"),
        ("TRUE", "1"),
    ],
)
def test_a_literal_is_what_mysql_would_read(literal: str, value: str) -> None:
    insert = "INSERT INTO predictions (id, name) VALUES (1, {});\n"

    assert names(MYSQL + insert.format(literal)) == [value]


def test_a_statement_may_go_over_lines_and_a_text_too() -> None:
    dump = "INSERT INTO predictions\n(id, name)\nVALUES\n(1, 'a;\nINSERT b;'),\n(2, 'c');\n"

    assert rows(dump) == [
        (1, 1, {"id": "1", "name": "a;\nINSERT b;"}),
        (1, 2, {"id": "2", "name": "c"}),
    ]


def test_a_carriage_return_inside_a_text_is_kept() -> None:
    assert rows("INSERT INTO predictions (id, name) VALUES (1, 'a\r\nb');\r\n") == [
        (1, 1, {"id": "1", "name": "a\r\nb"})
    ]


def test_other_tables_do_not_count() -> None:
    dump = (
        "INSERT INTO patients (id, name) VALUES (1, 'INSERT INTO predictions VALUES (1);');\n"
        "INSERT INTO predictions_old (id) VALUES (2);\n"
        "INSERT INTO `stroke`.`predictions` (id) VALUES (3);\n"
        "REPLACE INTO predictions (id) VALUES (4);\n"
    )

    assert [cells for _, _, cells in rows_of_dump(dump.splitlines(keepends=True))] == [
        {"id": "3"},
        {"id": "4"},
    ]


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("INSERT INTO predictions VALUES (1);", "names no columns"),
        ("INSERT INTO predictions (id, age) VALUES (1);", "has 1 values for 2 columns"),
        ("INSERT INTO predictions (id, age) VALUES (1, NOW());", "age is not a literal"),
        ("INSERT INTO predictions (id) SELECT 1;", "not values"),
        ("INSERT INTO predictions (id) VALUES (1", "not a complete SQL statement"),
        ("INSERT INTO predictions (name) VALUES ('Jo;", "not a complete SQL statement"),
    ],
)
def test_what_cannot_be_read_is_a_problem_that_quotes_nothing(statement: str, problem: str) -> None:
    [(line, place, said)] = rows_of_dump([statement + "\n"])

    assert (line, place) == (1, 1)
    assert isinstance(said, str)
    assert problem in said
    assert "Jo" not in said


def test_a_bad_row_leaves_its_neighbours_alone() -> None:
    dump = "INSERT INTO predictions (id, age) VALUES (1, 5), (2, NOW()), (3, 6);\n"

    assert [place for _, place, cells in rows_of_dump([dump]) if isinstance(cells, dict)] == [1, 3]


SQLITE = """\
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE predictions (id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR(100),
  age FLOAT DEFAULT (1), CONSTRAINT c CHECK (age > 0)
, extra TEXT);
"""


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        (r"'C:\new\temp'", r"C:\new\temp"),
        ("'O''Brien \\'", "O'Brien \\"),
        (r"replace('a\nb','\n',char(10))", "a\nb"),
        (r"replace(replace('a\r\nb','\r',char(13)),'\n',char(10))", "a\r\nb"),
        (r"unistr('Zo\u00eb\u000a\\')", "Zoë\n\\"),
        (r"unistr('\ud83d\ude00')", "😀"),
        ("X'5a6fc3ab'", "Zoë"),
    ],
)
def test_a_literal_in_a_dump_of_sqlite_is_what_sqlite_would_read(literal: str, value: str) -> None:
    insert = f"INSERT INTO predictions VALUES(1,{literal},36.600000000000001421,NULL);\n"
    assert rows(SQLITE + insert) == [
        (6, 1, {"id": "1", "name": value, "age": "36.600000000000001421", "extra": None})
    ]


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("b'1'", "1"),
        ("0b0", "0"),
        (r'CONVERT("[\"age\"]" USING UTF8MB4)', '["age"]'),
        ("CAST('{}' AS JSON)", "{}"),
        ("CONVERT(0x7b7d USING utf8mb4)", "{}"),
        (r"'100\%'", r"100\%"),
        ("/* c */ 'a' -- it's\n", "a"),
    ],
)
def test_other_literals_of_mysql_are_read(literal: str, value: str) -> None:
    assert names(f"INSERT INTO predictions (id, name) VALUES (1, {literal});\n") == [value]


BROKEN = "is not a complete SQL statement"


@pytest.mark.parametrize("between", ["", "\n"])
def test_a_broken_string_does_not_swallow_the_rows_after_it(between: str) -> None:
    good = [f"({number},'n{number}',{number})" for number in range(1, 8)]
    for place in range(7):
        for broken in (f"({place + 1},'it's',1)", f"({place + 1},'open,1)"):
            statement = [*good[:place], broken, *good[place + 1 :]]
            insert = "INSERT INTO predictions VALUES " + f",{between}".join(statement) + ";\n"
            last = "INSERT INTO predictions VALUES (9,'last',9);\n"
            found = [cells for _, _, cells in rows(CREATE + insert + last)]
            kept = [cells["id"] for cells in found if isinstance(cells, dict)]
            assert kept == [str(n) for n in (*range(1, 8), 9) if n != place + 1]
            assert found.count(BROKEN) == 1


def test_a_dump_that_is_cut_off_gives_the_rows_before_the_cut() -> None:
    whole = "INSERT INTO predictions (id, name) VALUES (1,'a'),(2,'b'),(3,'c');\n"
    for length in range(len("INSERT INTO predictions (id, name) VALUES (1,'a'),("), len(whole) - 2):
        found = [cells for _, _, cells in rows(whole[:length])]
        assert found[-1] == BROKEN or length >= whole.index(";")
        assert all(isinstance(cells, dict) for cells in found[:-1])


def test_a_name_cannot_forge_a_row_where_another_is_broken() -> None:
    forged = "x\\'),(99,\\'forged\\',1),(98,\\'"
    insert = (
        f"INSERT INTO predictions (id, name, age) VALUES (1,'it's',1),(2,'{forged}',2),(3,'c',3);\n"
    )
    assert [cells["id"] for cells in cells_of(rows(insert))] == ["2", "3"]


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), min_size=1, max_size=6)
)
def test_any_text_comes_back_from_mysql_and_from_sqlite(texts: list[str]) -> None:
    def mysql(text: str) -> str:
        for plain, escaped in (("\\", "\\\\"), ("'", "\\'"), ("\n", "\\n"), ("\0", "\\0")):
            text = text.replace(plain, escaped)
        return text

    values = ",".join(f"({at},'{mysql(text)}',1)" for at, text in enumerate(texts, start=1))
    found = rows(CREATE + f"INSERT INTO `predictions` VALUES {values};\n")
    assert [cells["name"] for cells in cells_of(found)] == texts
    lines = [
        "INSERT INTO predictions VALUES({},'{}',1,NULL);\n".format(at, text.replace("'", "''"))
        for at, text in enumerate(texts, start=1)
    ]
    found = rows(SQLITE + "".join(lines))
    assert [cells["name"] for cells in cells_of(found)] == texts


@given(st.text("',();\\\"`\n -/*#", max_size=30))
def test_no_text_breaks_the_reader_and_the_last_row_is_always_read(junk: str) -> None:
    last = "\nINSERT INTO predictions (id) VALUES (7);\n"
    found = rows(f"INSERT INTO predictions (id, name) VALUES (1, '{junk});" + last)
    assert found
    if "'" not in junk and "\\" not in junk:
        assert found[-1][2] == {"id": "7"}


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        ("--\n-- PostgreSQL database dump\n--\n", "PostgreSQL"),
        ("COPY public.predictions (id) FROM stdin;\n1\n", "PostgreSQL"),
        ('INSERT INTO "public"."predictions" VALUES (1);\n', "PostgreSQL"),
        ("SET IDENTITY_INSERT [dbo].[predictions] ON\nGO\n", "SQL Server"),
        ("INSERT [dbo].[predictions] ([id]) VALUES (1)\n", "SQL Server"),
        ("SET DEFINE OFF;\n", "Oracle"),
    ],
)
def test_a_dump_of_another_database_is_refused_by_its_name(head: str, kind: str) -> None:
    with pytest.raises(InvalidData, match=f"old.sql is a dump of {kind}"):
        list(rows_of_dump([head], name="old.sql"))


def test_what_a_patient_is_called_does_not_choose_the_dialect() -> None:
    insert = "INSERT INTO predictions (id, name) VALUES (1,'a\nPRAGMA x;\nGO\n\\'b');\n"
    assert names(insert) == ["a\nPRAGMA x;\nGO\n'b"]


def test_the_size_of_the_pieces_changes_nothing() -> None:
    dump = CREATE + "".join(
        f"INSERT INTO predictions VALUES ({n},'it\\'s\n; INSERT {n}',{n}),({n},'x''y',NULL);\n"
        for n in range(1, 40)
    )
    whole = rows(dump)
    assert len(whole) == 78
    for size in (1, 7, 100):
        pieces = [dump[at : at + size] for at in range(0, len(dump), size)]
        assert list(rows_of_dump(pieces)) == whole


def test_warnings_and_triggers_in_a_dump_are_passed_over() -> None:
    dump = (
        "mysqldump: [Warning] Using a password on the command line interface can be insecure's.\n"
        "/*!50003 CREATE*/ /*!50003 TRIGGER t BEFORE INSERT ON p FOR EACH ROW BEGIN\n"
        "INSERT INTO predictions (id) VALUES (NEW.id);\nEND */;;\n"
        "INSERT INTO predictions (id) VALUES (1) ON DUPLICATE KEY UPDATE id = id;\n"
        "INSERT INTO predictions (id) VALUES (2);\n"
    )
    assert [cells for _, _, cells in rows(dump)] == [{"id": "1"}, {"id": "2"}]


@pytest.mark.parametrize("mark", ["/*!50000 ", "/*!", "/*M!100100\n"])
def test_rows_in_a_comment_that_some_versions_run_are_rejected_and_not_lost(mark: str) -> None:
    aside = f"{mark}INSERT INTO `predictions` (id) VALUES (1), (2) */;\n"
    other = f"{mark}INSERT INTO `others` (id) VALUES (3) */;\n"
    follows = "INSERT INTO `predictions` (id) VALUES (4);\n"
    [(line, _, said), (_, _, cells)] = rows(MYSQL + aside + other + follows)
    assert (line, cells) == (2, {"id": "4"})
    assert "comment" in str(said)


def test_the_end_of_a_damaged_database_of_sqlite_is_said() -> None:
    dump = "PRAGMA foreign_keys=OFF;\nINSERT INTO predictions (id) VALUES (1);\n"
    assert rows(dump + "ROLLBACK;\n") == rows(dump)
    *read, (line, _, said) = rows(dump + "ROLLBACK; -- due to errors\n")
    assert (read, line) == (rows(dump), 3)
    assert "damaged" in str(said)


@pytest.mark.parametrize("mode", ["'NO_BACKSLASH_ESCAPES'", "'ANSI,NO_BACKSLASH_ESCAPES'"])
@pytest.mark.parametrize("what", ["SET sql_mode=", "set @@SESSION.sql_mode = ", "SET SQL_MODE := "])
def test_a_dump_that_takes_backslashes_as_they_are_is_refused(what: str, mode: str) -> None:
    row = "INSERT INTO `predictions` (id, name) VALUES (1, 'C:\\new');\n"
    with pytest.raises(InvalidData, match="NO_BACKSLASH_ESCAPES"):
        rows(f"{MYSQL}{what}{mode};\n{row}")
    said_by_a_patient = "INSERT INTO `predictions` (name) VALUES ('\nSET NO_BACKSLASH_ESCAPES');\n"
    assert len(rows(MYSQL + said_by_a_patient + "SET sql_mode='ANSI';\n")) == 1


@pytest.mark.parametrize(
    "said",
    [
        "/*!40101 SET SQL_MODE='NO_BACKSLASH_ESCAPES' */;",
        "/*!40101 SET @OLD=@@SQL_MODE, SQL_MODE='ANSI,NO_BACKSLASH_ESCAPES' */;",
        "SET NAMES 'utf8'; /*M!100100 set sql_mode='no_backslash_escapes' */;",
        "/*! SET SQL_MODE='NO_BACKSLASH_ESCAPES' */; ",
    ],
)
@pytest.mark.parametrize("end", ["\n", " "])
def test_so_is_one_that_does_it_by_the_version_of_mysql(said: str, end: str) -> None:
    row = "INSERT INTO `predictions` (id, name) VALUES (1, 'C:\\new');\n"
    with pytest.raises(InvalidData, match="NO_BACKSLASH_ESCAPES"):
        rows(f"{MYSQL}{said}{end}{row}")


def test_the_mode_that_mysqldump_writes_for_a_trigger_is_not_that_of_its_strings() -> None:
    dump = (
        "/*!50003 SET sql_mode = 'STRICT_TRANS_TABLES,NO_BACKSLASH_ESCAPES' */ ;\n"
        "INSERT INTO `predictions` (id, name) VALUES (1, 'Ana\\'s');\n"
    )
    assert cells_of(rows(MYSQL + dump)) == [{"id": "1", "name": "Ana's"}]


@pytest.mark.parametrize("table", ["PREDICTIONS", "`Predictions`", "db.PREDICTIONS"])
def test_capitals_in_the_name_of_the_table_do_not_count(table: str) -> None:
    assert cells_of(rows(f"{MYSQL}INSERT INTO {table} (id) VALUES (1);\n")) == [{"id": "1"}]


BARE = "INSERT INTO predictions (id, name, age) VALUES "


@pytest.mark.parametrize(
    "head",
    [
        MYSQL,
        "-- MySQL dump 10.13\n",
        "-- MariaDB dump 10.19\n",
        "SET NAMES utf8mb4;\n",
        "LOCK TABLES predictions WRITE;\n",
        "CREATE TABLE predictions (id int, name text, age double) ENGINE=InnoDB;\n",
    ],
)
def test_a_dump_that_gives_mysql_away_is_read_as_mysql_reads_it(head: str) -> None:
    assert names(head + BARE + r"(1,'C:\\new',2);") == [r"C:\new"]


@pytest.mark.parametrize("table", ["`predictions`", "stroke_predictions.predictions"])
def test_so_does_how_the_table_is_named(table: str) -> None:
    assert names(BARE.replace("predictions", table) + r"(1,'C:\\new',2);") == [r"C:\new"]


@pytest.mark.parametrize("table", ["main.predictions", '"predictions"'])
def test_a_name_of_sqlite_makes_it_sqlites(table: str) -> None:
    assert names(BARE.replace("predictions", table) + r"(1,'C:\\new',2);") == [r"C:\\new"]


@pytest.mark.parametrize(
    ("table", "kind"), [("public.predictions", "PostgreSQL"), ("dbo.predictions", "SQL Server")]
)
def test_the_schemas_of_other_databases_are_refused_by_name(table: str, kind: str) -> None:
    with pytest.raises(InvalidData, match=f"dump of {kind}"):
        rows(BARE.replace("predictions", table) + "(1,'a',2);")


def test_bare_inserts_without_a_backslash_mean_the_same_everywhere() -> None:
    assert names(BARE + "(1,'O''Brien',2),(2,NULL,3);") == ["O'Brien", None]


def test_a_row_that_only_one_database_can_have_written_is_read_as_that_one_reads_it() -> None:
    assert names(BARE + r"(1,'it\'s',2);") == ["it's"]
    assert names(BARE + "(1,'C:\\',2);\n" + BARE + "(2,'a',2);") == ["C:\\", "a"]


@pytest.mark.parametrize("text", [r"C:\new", r"back\\slash", r"{\"a\": 1}"])
def test_a_row_that_means_two_things_is_refused_by_name_and_its_neighbours_are_read(
    text: str,
) -> None:
    found = names(BARE + f"(1,'a',1),(2,'{text}',2),(3,'b',3);")

    assert found[::2] == ["a", "b"]
    assert "--dump-of" in str(found[1])
    assert text not in str(found[1])


def test_a_row_that_ends_at_two_places_ends_the_run() -> None:
    with pytest.raises(InvalidData, match="--dump-of"):
        names(BARE + "(1,'a\\',2),(2,',3);")


@pytest.mark.parametrize(
    ("kind", "name"), [(DumpKind.MYSQL, r"C:\new"), (DumpKind.SQLITE, r"C:\\new")]
)
def test_who_says_the_database_is_believed(kind: DumpKind, name: str) -> None:
    [(_, _, cells)] = rows_of_dump([BARE + r"(1,'C:\\new',2);"], kind=kind)
    assert isinstance(cells, dict)
    assert cells["name"] == name


@given(st.lists(st.text("',();\\\"`\n -ax", max_size=12), min_size=1, max_size=4), st.booleans())
def test_no_row_of_bare_inserts_is_read_as_anything_but_what_was_written(
    texts: list[str], of_mysql: bool
) -> None:
    def literal(text: str) -> str:
        escaped = text.replace("\\", "\\\\") if of_mysql else text
        return "'" + escaped.replace("'", "''") + "'"

    dump = "".join(f"{BARE}({at},{literal(text)},{at});\n" for at, text in enumerate(texts))
    try:
        found = rows(dump)
    except InvalidData:
        return
    for cells in cells_of(found):
        assert cells["name"] == texts[int(str(cells["id"]))]
        assert cells["age"] == cells["id"]


def test_a_longer_row_than_the_setting_allows_is_rejected_and_the_next_one_is_read() -> None:
    dump = BARE + f"(1,'{'x' * 4_000_000}',2);\n" + BARE + "(2,'a',2);\n"
    limits = TextLimits(dump_row=1_000_000)

    found = list(rows_of_dump(_pieces(dump), limits=limits))

    assert [cells["id"] for cells in cells_of(found)] == ["2"]
    assert found[0][2] == "is not a complete SQL statement"
    assert len(cells_of(list(rows_of_dump(_pieces(dump))))) == 2


def test_a_longer_statement_than_the_setting_allows_is_not_passed_over_as_a_whole() -> None:
    other = "INSERT INTO other VALUES ('" + "x" * 2_000_000 + "\n"
    dump = other + BARE + "(2,'a',2);\n" + "');\n"

    assert rows_of_ids(dump, TextLimits(statement=1_000_000)) == ["2"]
    assert rows_of_ids(dump, TextLimits()) == []


def _pieces(dump: str) -> list[str]:
    return [dump[at : at + 65_536] for at in range(0, len(dump), 65_536)]


def rows_of_ids(dump: str, limits: TextLimits) -> list[object]:
    found = list(rows_of_dump(_pieces(dump), limits=limits))
    return [cells["id"] for cells in cells_of(found)]


ROW = "INSERT INTO predictions (id, name) VALUES (7, 'a;b')"


@pytest.mark.parametrize(
    "before",
    [
        "BEGIN;",
        "BEGIN; DELETE FROM predictions;",
        "SET NAMES 'utf8'; USE `a b`;",
        'SET a = "x";',
        "/*!40101 SET NAMES utf8 */;",
        "/* a\nb */;",
        "SET a = 1; /* an INSERT */",
        "/* INTO\n */ /**/",
        ";",
        "SET a = 1;\r",
        "INSERT INTO others VALUES ('; INSERT');",
        "CREATE TABLE others (id int);",
    ],
)
@pytest.mark.parametrize("blank", ["", " ", "\t", "\r", "\r\n"])
def test_a_statement_may_begin_behind_another_one_on_its_line(before: str, blank: str) -> None:
    found = list(rows_of_dump([f"{before}{blank}{ROW};{blank}COMMIT;{blank}{ROW};"]))
    assert [cells for _, _, cells in found] == [{"id": "7", "name": "a;b"}] * 2


@pytest.mark.parametrize(
    "aside",
    [
        f"-- no; {ROW};",
        f"# no; {ROW};",
        f"/* no; {ROW}; */",
        f"/* no\n; {ROW};\n*/",
        f"UPDATE others SET note = 'x; {ROW.replace(chr(39), chr(34))}';",
        f'UPDATE others SET note = "x; {ROW}";',
    ],
)
def test_what_only_looks_like_a_statement_is_none(aside: str) -> None:
    found = list(rows_of_dump([f"{aside}\n{ROW.replace('7', '8')};\n"]))
    assert [cells for _, _, cells in found] == [{"id": "8", "name": "a;b"}]


def test_a_row_behind_another_statement_that_only_some_versions_run_is_a_problem() -> None:
    [(_, _, said), (_, _, cells)] = rows_of_dump([f"SET a = 1; /*!50001 {ROW} */; {ROW};"])
    assert said == "stands in a comment that only some versions of MySQL run"
    assert cells == {"id": "7", "name": "a;b"}


def test_columns_of_sql_have_no_case_and_stand_once() -> None:
    upper = "INSERT INTO PREDICTIONS (ID, `Name`) VALUES (1, 'a');\n"
    twice = "INSERT INTO predictions (id, name, ID) VALUES (1, 'a', 2), (3, 'b', 4);\n"
    assert [found for _, _, found in rows_of_dump([upper, twice])] == [
        {"id": "1", "name": "a"},
        "names a column twice",
        "names a column twice",
    ]
