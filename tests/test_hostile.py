"""User input stays data: it never becomes code or a template, and never breaks a format."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.workshop import Workshop, files, model

pytestmark = pytest.mark.smoke

HOSTILE = model("hostile")

CELL = re.compile(r"(?:\\.|[^|\\])+")


@pytest.fixture(scope="module", params=["postgresql", "sqlite"])
def project(request: pytest.FixtureRequest, workshop: Workshop) -> Path:
    """A project with the hostile model."""
    return workshop.render(**HOSTILE | {"database": request.param})


@pytest.fixture(scope="module", params=["hostile", "odd", "organisation", "types"])
def schema_document(request: pytest.FixtureRequest, workshop: Workshop) -> str:
    """The docs/schema.md of each of the models."""
    return (workshop.render(**model(request.param)) / "docs/schema.md").read_text("utf-8")


def test_no_user_text_is_rendered(project: Path) -> None:
    """Check that `{{ 7*7 }}` does not become 49."""
    texts = files(project)
    assert [path for path, text in texts.items() if re.search(r"\b49\b", text)] == []
    assert "{{ 7*7 }}" in texts["data_model.yml"]


def test_the_description_of_the_project_is_preserved(project: Path) -> None:
    settings = files(project)["pyproject.toml"]
    assert tomllib.loads(settings)["project"]["description"] == HOSTILE["description"]


@pytest.mark.parametrize("name", ["data_model.yml", ".copier-answers.yml"])
def test_the_order_of_the_model_is_preserved(project: Path, name: str) -> None:
    stored = yaml.safe_load((project / name).read_text("utf-8"))["entities"]
    assert json.dumps(stored) == json.dumps(HOSTILE["entities"])


@pytest.mark.parametrize("entity", HOSTILE["entities"])
def test_the_description_of_an_entity_is_its_docstring(project: Path, entity: str) -> None:
    described = HOSTILE["entities"][entity].get("description")
    docstring = ast.get_docstring(_class(project, entity))
    assert docstring
    if described:
        assert " ".join(docstring.split()) == _sentence(described)


@pytest.mark.parametrize("entity", HOSTILE["entities"])
def test_every_reason_is_in_the_model(project: Path, entity: str) -> None:
    content = HOSTILE["entities"][entity]
    reasons = {check["why"] for check in content.get("checks", {}).values()}
    reasons |= {field["index"] for field in content["fields"].values() if "index" in field}
    reasons |= {
        index["why"]
        for index in content.get("indexes", [])
        if "using" not in index or "asyncpg" in (project / "pyproject.toml").read_text("utf-8")
    }
    assert {_sentence(reason) for reason in reasons} - _texts(
        _module(project, "models", entity)
    ) == set()


@pytest.mark.parametrize("entity", HOSTILE["entities"])
def test_every_text_of_a_field_is_in_model_and_schema(project: Path, entity: str) -> None:
    in_model = _texts(_module(project, "models", entity))
    in_schema = _texts(_module(project, "schemas", entity))
    for name, field in HOSTILE["entities"][entity]["fields"].items():
        if "pattern" in field:
            assert field["pattern"] in in_schema
        if "description" in field:
            assert _sentence(field["description"]) in in_model & in_schema, name
        if field["type"] in ("string", "text", "email", "url") and "default" in field:
            assert field["default"] in in_model & in_schema, name
        if field["type"] == "json" and "default" in field:
            assert field["default"] in [*_literals(_module(project, "schemas", entity))]
            assert field["default"] in [*_json(in_model)]


def test_every_value_of_an_enum_is_a_member(project: Path) -> None:
    values = HOSTILE["entities"]["Order"]["fields"]["null"]["values"]
    [enum] = [
        node
        for node in _module(project, "models", "Order").body
        if isinstance(node, ast.ClassDef) and "StrEnum" in map(ast.unparse, node.bases)
    ]
    members = {
        ast.unparse(node.targets[0]): ast.literal_eval(node.value)
        for node in enum.body
        if isinstance(node, ast.Assign)
    }
    assert [*members.values()] == values


def test_tables_of_the_schema_document_are_well_formed(schema_document: str) -> None:
    """Check that no pipe or line break in a cell changes the number of cells in its row."""
    for paragraph in schema_document.split("\n\n"):
        if paragraph.startswith("|"):
            assert len({len(CELL.findall(row)) for row in paragraph.strip().split("\n")}) == 1
            assert all(
                row.startswith("|") and row.endswith("|") for row in paragraph.strip().split("\n")
            )


def test_html_in_a_description_is_escaped(project: Path) -> None:
    """Check that no `<` outside code opens an element or a comment."""
    prose = re.sub(r"`[^`\n]*`", "", files(project)["docs/schema.md"])
    assert re.findall(r"(?<!\\)<", prose) == []


def _sentence(text: str) -> str:
    line = " ".join(text.split())
    return line if line[-1:] in (".", "!", "?", "") else f"{line}."


def _module(project: Path, folder: str, entity: str) -> ast.Module:
    """Return the module that defines the entity's class."""
    name = entity + ("Create" if folder == "schemas" else "")
    for path in (project / "src/hostile" / folder).glob("*.py"):
        module = ast.parse(path.read_text("utf-8"))
        if any(isinstance(node, ast.ClassDef) and node.name == name for node in module.body):
            return module
    raise LookupError(f"no module in {folder} defines {name}")


def _class(project: Path, entity: str) -> ast.ClassDef:
    module = _module(project, "models", entity)
    return next(
        node for node in module.body if isinstance(node, ast.ClassDef) and node.name == entity
    )


def _texts(module: ast.Module) -> set[str]:
    return {
        node.value
        for node in ast.walk(module)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def _literals(module: ast.Module) -> Iterator[Any]:
    """Yield the value of every literal mapping and list."""
    for node in ast.walk(module):
        if isinstance(node, ast.Dict | ast.List):
            with suppress(ValueError):
                yield ast.literal_eval(node)


def _json(texts: set[str]) -> Iterator[Any]:
    for text in texts:
        with suppress(ValueError):
            yield json.loads(text)
