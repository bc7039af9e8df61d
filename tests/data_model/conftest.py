"""Fixtures that render the validator as Copier does, without the cost of a copy."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment
from jsonschema import Draft202012Validator

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def jinja() -> SandboxedEnvironment:
    """Return Copier's Jinja environment for this template, with undefined names as errors."""
    questions = yaml.safe_load((ROOT / "copier.yml").read_text("utf-8"))
    options = {**questions.get("_envops", {}), "undefined": StrictUndefined}
    return SandboxedEnvironment(
        loader=FileSystemLoader(ROOT),
        extensions=["jinja2_ansible_filters.AnsibleCoreFiltersExtension"],
        **options,
    )


@pytest.fixture(scope="session")
def errors(jinja: SandboxedEnvironment) -> Callable[..., list[str]]:
    """Return a function that returns the errors of a model; none when it is valid."""
    validator = jinja.get_template("data_model/validate.jinja")

    def validate(
        entities: object,
        orm: str = "sqlalchemy",
        database: str = "postgresql",
        sessions: str = "async",
    ) -> list[str]:
        report = validator.render(
            entities=entities, orm=orm, database=database, sessions=sessions, primary_key="uuid7"
        )
        # Copier strips the report, too.
        return report.strip().split("\n") if report.strip() else []

    return validate


@pytest.fixture(scope="session")
def vocabulary(jinja: SandboxedEnvironment) -> dict[str, Any]:
    """Return the tables of language.jinja."""
    module = jinja.get_template("data_model/language.jinja").module
    return {name: value for name, value in vars(module).items() if not name.startswith("_")}


@pytest.fixture(scope="session")
def schema() -> dict[str, Any]:
    """Return the JSON schema that editors use."""
    text = (ROOT / "data_model/schema.json").read_text("utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


@pytest.fixture(scope="session")
def schema_errors(schema: dict[str, Any]) -> Callable[[Any], list[str]]:
    """Return a function that returns the errors that an editor shows for entities."""
    validator = Draft202012Validator(schema)

    def validate(entities: object) -> list[str]:
        return [error.message for error in validator.iter_errors({"entities": as_json(entities)})]

    return validate


def as_json(value: Any) -> Any:
    """Convert a YAML value as an editor does: JSON has no dates, and YAML's `on` is `true`."""
    if isinstance(value, dict):
        return {"true" if key is True else key: as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    return value.isoformat() if isinstance(value, date | datetime) else value
