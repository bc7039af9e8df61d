"""docs/types.md says what the templates do, of every type and every index method."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.oracle import kept_by
from tests.types_document import DOCUMENT, render
from tests.validators import properties, types
from tests.workshop import ROOT, Workshop, files, model

pytestmark = pytest.mark.smoke


def test_the_document_is_what_the_tables_say() -> None:
    assert DOCUMENT.read_text("utf-8") == render()


@pytest.mark.parametrize(("database", "column"), [("postgresql", 3), ("sqlite", 4), ("mysql", 5)])
def test_the_sql_of_a_type_is_what_its_migration_makes(
    database: str, column: int, workshop: Workshop
) -> None:
    """Of every type, the document names what SQLAlchemy says to the database."""
    project = files(workshop.render(**model("types") | {"database": database}))
    [migration] = [text for path, text in project.items() if path.startswith("migrations/versions")]
    tables = [
        dict(re.findall(r'sa\.Column\(\s*"(\w+)",\s*([\w.]+)', table))
        for table in migration.split("op.create_table(")[1:]
    ]
    said = _said(column)
    words = yaml.safe_load((ROOT / "tests" / "sql_names.yml").read_text("utf-8"))[database]
    for entity in model("types")["entities"].values():
        made = next(table for table in tables if entity["fields"].keys() <= table.keys())
        for name, field in entity["fields"].items():
            assert words[made[name]] in said[field["type"]], (name, made[name])


def test_the_bson_type_of_a_type_is_what_its_validator_asks_for(workshop: Workshop) -> None:
    project = files(workshop.render(**kept_by("beanie", "mongodb", model("types"))))
    collections = properties(project)
    said = _said(6)
    for entity in model("types")["entities"].values():
        asked = next(
            each for each in collections.values() if entity["fields"].keys() <= each.keys()
        )
        for name, field in entity["fields"].items():
            for type_ in types(asked[name]):
                assert f"`{type_}`" in said[field["type"]], (name, type_)


def _said(column: int) -> dict[str, str]:
    """What the document says of each type in one column."""
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    cells = {name: row.split("|") for name, row in rows}
    return {name: row[column] for name, row in cells.items() if len(row) == 7}
