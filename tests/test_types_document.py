"""docs/types.md matches the templates for every type and every index method."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.oracle import stored_by
from tests.types_document import DOCUMENT, render
from tests.validators import properties, types
from tests.workshop import ROOT, Workshop, files, model

pytestmark = pytest.mark.smoke


def test_the_document_is_up_to_date() -> None:
    assert DOCUMENT.read_text("utf-8") == render()


@pytest.mark.parametrize(("database", "column"), [("postgresql", 3), ("sqlite", 4), ("mysql", 5)])
def test_the_sql_type_in_the_document_is_that_of_the_migration(
    database: str, column: int, workshop: Workshop
) -> None:
    """Check that the document contains the type that SQLAlchemy compiles for the database."""
    project = files(workshop.render(**model("types") | {"database": database}))
    [migration] = [text for path, text in project.items() if path.startswith("migrations/versions")]
    tables = [
        dict(re.findall(r'sa\.Column\(\s*"(\w+)",\s*([\w.]+)', table))
        for table in migration.split("op.create_table(")[1:]
    ]
    documented = _documented(column)
    sql_names = yaml.safe_load((ROOT / "tests" / "sql_names.yml").read_text("utf-8"))[database]
    for entity in model("types")["entities"].values():
        columns = next(table for table in tables if entity["fields"].keys() <= table.keys())
        for name, field in entity["fields"].items():
            assert sql_names[columns[name]] in documented[field["type"]], (name, columns[name])


def test_the_bson_type_in_the_document_is_that_of_the_validator(workshop: Workshop) -> None:
    project = files(workshop.render(**stored_by("beanie", "mongodb", model("types"))))
    collections = properties(project)
    documented = _documented(6)
    for entity in model("types")["entities"].values():
        rules = next(
            each for each in collections.values() if entity["fields"].keys() <= each.keys()
        )
        for name, field in entity["fields"].items():
            for type_ in types(rules[name]):
                assert f"`{type_}`" in documented[field["type"]], (name, type_)


def _documented(column: int) -> dict[str, str]:
    """Return the cells of one column of the document, by type."""
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    cells = {name: row.split("|") for name, row in rows}
    return {name: row[column] for name, row in cells.items() if len(row) == 7}
