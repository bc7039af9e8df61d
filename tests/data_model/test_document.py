"""A project contains the reference of its data model's language, and the schema for editors."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.workshop import ROOT, Workshop

PROJECTS: dict[str, dict[str, Any]] = {
    "postgresql": {},
    "mongodb": {"orm": "beanie", "database": "mongodb"},
    "shop-sqlite": {"starter": "shop", "database": "sqlite"},
}


@pytest.fixture(params=PROJECTS.values(), ids=[*PROJECTS])
def project(request: pytest.FixtureRequest, workshop: Workshop) -> Path:
    """A project, which the tests only read."""
    return workshop.render(**request.param)


def test_the_first_line_of_the_data_model_names_the_schema_that_it_satisfies(
    project: Path, schema: dict[str, Any], schema_errors: Callable[[Any], list[str]]
) -> None:
    text = (project / "data_model.yml").read_text("utf-8")
    [path] = re.findall(r"\A# yaml-language-server: \$schema=(\S+)\n", text)
    assert json.loads((project / path).read_text("utf-8")) == schema
    assert schema_errors(yaml.safe_load(text)["entities"]) == []


def test_the_document_explains_every_key(project: Path, vocabulary: dict[str, Any]) -> None:
    text = (project / "docs" / "data-model.md").read_text("utf-8")
    outside = re.sub(r"^```.+?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    explained = {*re.findall(r"`([^`\n]+)`", outside)}
    lists = [
        *("entity_keys", "reference_keys", "many_to_many_keys", "check_keys", "computed_keys"),
        *("index_keys", "all_options", "type_names", "on_delete_actions", "access_words"),
    ]
    missing = {word for name in lists for word in vocabulary[name]} - explained
    assert missing <= {"type"}
    for method in vocabulary["index_methods"]:
        assert f"{method}: " in text


def test_the_example_of_the_document_is_valid(
    project: Path, schema_errors: Callable[[Any], list[str]]
) -> None:
    text = (project / "docs" / "data-model.md").read_text("utf-8")
    [example] = re.findall(r"^```yaml\n(.+?)^```", text, re.DOTALL | re.MULTILINE)
    assert schema_errors(yaml.safe_load(example)["entities"]) == []


def test_the_schema_for_editors_is_the_one_of_the_template(project: Path) -> None:
    rendered = (project / "docs" / "data_model.schema.json").read_text("utf-8")
    assert rendered == (ROOT / "data_model" / "schema.json").read_text("utf-8")
