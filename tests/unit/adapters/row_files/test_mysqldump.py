from __future__ import annotations

import io

import pytest

from stroke.adapters.row_files.mysqldump import rows_of_dump

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


def rows(dump: str) -> list[object]:
    return list(rows_of_dump(io.StringIO(dump, newline="")))


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

    assert names(insert.format(literal)) == [value]


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
