"""Invalid models are rejected with exactly the errors in broken.yml; valid ones pass."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.workshop import REALISTIC, TRICKY

HERE = Path(__file__).parent
DATA_MODEL = HERE.parents[1] / "data_model"
ORMS = ["sqlalchemy", "sqlmodel", "beanie", "prisma", "prisma-typescript"]

Errors = Callable[..., list[str]]

BROKEN: list[dict[str, Any]] = yaml.safe_load((HERE / "broken.yml").read_text("utf-8"))


@pytest.mark.parametrize("case", BROKEN, ids=[case["when"] for case in BROKEN])
def test_an_invalid_model_is_rejected_with_every_error_in_order(
    case: dict[str, Any], errors: Errors
) -> None:
    answers = {name: case[name] for name in ("orm", "database", "sessions") if name in case}
    assert errors(case["model"], **answers) == case["errors"]


def test_every_error_message_is_in_broken_yml() -> None:
    """Every rule needs a case that shows that it works."""
    said = "\n".join(line for case in BROKEN for line in case["errors"])
    sources = (DATA_MODEL / "validate").glob("*.jinja")
    reports = [
        report
        for source in sources
        for report in re.findall(r"\{\{ error\((.*?)\}\}\n", source.read_text("utf-8"), re.DOTALL)
    ]
    sentences = {
        literal.strip(" ,(;'").replace("\\\\", "\\").replace("\\'", "'")
        for report in reports
        for pair in re.findall(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"", report)
        for literal in pair
        if " " in literal.strip()
    }
    assert len(sentences) > 100
    assert sorted(sentence for sentence in sentences if sentence not in said) == []


@pytest.mark.parametrize("orm", ORMS)
@pytest.mark.parametrize("name", ["tasks", "shop", "blog", "saas", "chinook", "blank"])
def test_a_starter_is_valid(name: str, orm: str, errors: Errors) -> None:
    starter = yaml.safe_load((DATA_MODEL / "starters" / f"{name}.yml").read_text("utf-8"))
    assert errors(starter, orm) == []


@pytest.mark.parametrize("orm", ORMS)
@pytest.mark.parametrize("name", [*TRICKY, *REALISTIC])
def test_a_model_of_the_tests_is_valid(name: str, orm: str, errors: Errors) -> None:
    model = yaml.safe_load((HERE / "models" / f"{name}.yml").read_text("utf-8"))
    assert errors(model["entities"], orm) == []


@pytest.mark.parametrize(
    ("orm", "field"),
    [
        ("sqlalchemy", "type_annotation_map"),
        ("sqlmodel", "sqlmodel_update"),
        ("beanie", "count"),
        ("prisma", "included"),
    ],
)
def test_a_name_is_reserved_only_for_the_orm_that_uses_it(
    orm: str, field: str, errors: Errors
) -> None:
    model = {"Task": {"fields": {field: {"type": "integer"}}}}
    path = f"entities.Task.fields.{field}"
    assert errors(model, orm) == [
        f"{path}: '{field}' would hide a name that the generated code uses; "
        f"rename it, for example to '{field}_value'"
    ]
    assert errors(model, "sqlmodel" if orm == "prisma" else "prisma") == []


def test_a_number_too_long_to_print_is_rejected_without_printing_it(errors: Errors) -> None:
    """Python raises ValueError when it converts such a number to text."""
    number = 16**5000
    model = {"Task": {number: 1, "fields": {"a": {"type": "json", "default": [number]}}}}
    assert errors(model)[1:] == [
        "entities.Task.fields.a.default: a list is not a valid default; "
        "JSON numbers are limited to 64 bits"
    ]
    assert errors(model)[0].startswith("entities.Task.a number of more than 59 digits: unknown key")


def test_a_model_that_contains_itself_is_rejected(errors: Errors) -> None:
    """YAML anchors can build such a model."""
    model = yaml.safe_load("{Task: &a {fields: {b: {type: json, default: &c [*c, *c]}, d: *a}}}")
    assert "nest it at most 10 levels deep" in errors(model)[0]
    assert errors(model)[1] == (
        "entities.Task.fields.d: type is missing; the types are string, text, integer, bigint, "
        "decimal, float, boolean, date, time, datetime, uuid, json, enum, email, url, bytes, "
        "array, embedded"
    )


def test_300_entities_are_validated_in_about_a_second(errors: Errors) -> None:
    """The limit allows for busy machines, but not for quadratic time."""
    model: dict[str, Any] = {"User": {"fields": {"email": {"type": "email", "unique": True}}}}
    for number in range(300):
        model[f"Task{number}"] = {
            "description": "One thing to do.",
            "owned_by": "User",
            "fields": {f"field_{i}": {"type": "string", "max_length": 50} for i in range(8)},
            "references": {"parent": {"to": f"Task{number}", "optional": True}},
            "indexes": [{"on": ["owner", "field_0"], "why": "List mine."}],
        }
    started = time.process_time()
    assert errors(model) == []
    assert time.process_time() - started < 3
