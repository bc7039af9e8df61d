"""Names that are derived from the names in a model."""

from __future__ import annotations

from typing import Any

import pytest
from jinja2.sandbox import SandboxedEnvironment


@pytest.fixture(scope="module")
def naming(jinja: SandboxedEnvironment) -> Any:
    """Return the macros of naming.jinja."""
    return jinja.get_template("data_model/naming.jinja").module


@pytest.fixture(scope="module")
def nearness(jinja: SandboxedEnvironment) -> Any:
    """Return the macros of nearest.jinja."""
    return jinja.get_template("data_model/nearest.jinja").module


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Task", "task"),
        ("TaskTag", "task_tag"),
        ("HTTPServer", "http_server"),
        ("MyHTTPServer", "my_http_server"),
        ("OAuth2Token", "o_auth2_token"),
        ("API2Key", "api2_key"),
        ("A", "a"),
        ("ABTest", "ab_test"),
        ("Item3D", "item3_d"),
    ],
)
def test_an_entity_name_becomes_a_module_name(name: str, expected: str, naming: Any) -> None:
    assert naming.snake(name) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("task", "tasks"),
        ("category", "categories"),
        ("day", "days"),
        ("box", "boxes"),
        ("bus", "buses"),
        ("status", "statuses"),
        ("address", "addresses"),
        ("branch", "branches"),
        ("dish", "dishes"),
        ("person", "people"),
        ("child", "children"),
        ("hero", "heroes"),
        ("photo", "photos"),
        ("news", "news"),
        ("data", "data"),
        ("sheep", "sheep"),
        ("series", "series"),
        ("task_category", "task_categories"),
        ("grand_child", "grand_children"),
        ("salesperson", "salespersons"),
        ("y", "ys"),
    ],
)
def test_a_word_gets_its_plural(word: str, expected: str, naming: Any) -> None:
    assert naming.plural(word) == expected


def test_a_table_name_is_the_plural_unless_it_is_set(naming: Any) -> None:
    assert naming.table_name("TimeEntry", {}) == "time_entries"
    assert naming.table_name("TimeEntry", {"table": "hours"}) == "hours"


ENTITIES: dict[str, Any] = {
    "User": {},
    "Note": {"references": {"author": {"to": "User"}}},
    "Profile": {"references": {"user": {"to": "User", "unique": True}}},
    "Task": {
        "owned_by": "User",
        "references": {
            "reviewer": {"to": "User"},
            "deputy": {"to": "User", "unique": True},
            "parent": {"to": "Task"},
            "note": {"to": "Note", "inverse": "todos"},
        },
        "many_to_many": {"notes": {"to": "Note"}, "tags": {"to": "Tag"}},
    },
    "Tag": {},
}


@pytest.mark.parametrize(
    ("source", "section", "name", "expected"),
    [
        ("Note", "references", "author", "notes"),
        ("Profile", "references", "user", "profile"),
        ("Task", "references", "reviewer", "tasks_as_reviewer"),
        ("Task", "references", "deputy", "task_as_deputy"),
        ("Task", "references", "parent", "tasks_as_parent"),
        ("Task", "references", "note", "todos"),
        ("Task", "many_to_many", "notes", "tasks_as_notes"),
        ("Task", "many_to_many", "tags", "tasks"),
    ],
)
def test_an_inverse_gets_a_suffix_only_when_it_is_ambiguous(
    source: str, section: str, name: str, expected: str, naming: Any
) -> None:
    relation = ENTITIES[source][section][name]
    assert naming.inverse_name(source, name, relation, ENTITIES) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("Categry", "Category"),
        ("category", "Category"),
        ("Catgeory", "Category"),
        ("Usr", "User"),
        ("Tagg", "Tag"),
        ("Xyzzy", ""),
        ("", ""),
        ("x" * 100, ""),
        ("[^a-z]]\\", ""),
    ],
)
def test_the_nearest_name_is_found_if_it_is_near(word: str, expected: str, nearness: Any) -> None:
    assert nearness.nearest(word, ["User", "Category", "Tag", "Task"]) == expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("kitten", "sitting", "3"), ("", "abc", "3"), ("abc", "abc", "0"), ("ab", "ba", "2")],
)
def test_the_distance_is_levenshteins(one: str, other: str, expected: str, nearness: Any) -> None:
    assert nearness.distance(one, other) == expected
