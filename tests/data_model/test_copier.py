"""The validator, run by Copier as the validator of a question."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml

HERE = Path(__file__).parent

QUESTIONS = """\
_subdirectory: project
orm: {type: str, default: sqlalchemy}
database: {type: str, default: postgresql}
primary_key: {type: str, default: uuid7}
entities:
  type: yaml
  default: "{% include 'data_model/starters/tasks.yml' %}"
  validator: "{% include 'data_model/validate.jinja' %}"
"""


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """Return the path of a template that asks for entities and writes its answers."""
    root = tmp_path / "template"
    shutil.copytree(HERE.parents[1] / "data_model", root / "data_model")
    (root / "copier.yml").write_text(QUESTIONS, "utf-8")
    (root / "project").mkdir()
    (root / "project" / "answers.yml.jinja").write_text(
        "{{ _copier_answers | to_nice_yaml(sort_keys=False) }}", "utf-8"
    )
    return root


def copy(template: Path, **answers: Any) -> dict[str, Any]:
    """Return the answers that a copy recorded."""
    project = template.parent / "project"
    copier.run_copy(str(template), project, data=answers, defaults=True, quiet=True)
    recorded: dict[str, Any] = yaml.safe_load((project / "answers.yml").read_text("utf-8"))
    return recorded


def test_the_default_is_accepted(template: Path) -> None:
    assert [*copy(template)["entities"]] == ["User", "Category", "Tag", "Task"]


def test_a_hostile_model_is_recorded_unchanged(template: Path) -> None:
    entities = yaml.safe_load((HERE / "models/hostile.yml").read_text("utf-8"))["entities"]
    assert copy(template, entities=entities)["entities"] == entities


def test_an_invalid_model_is_rejected_with_all_errors(template: Path) -> None:
    entities = {"Task": {"fields": {"a": {"type": "strng"}}, "references": {"b": {"to": "Usr"}}}}
    with pytest.raises(ValueError, match="Validation error") as caught:
        copy(template, entities=entities)
    assert str(caught.value).split("'entities': ")[1].split("\n") == [
        "entities.Task.fields.a.type: no type is called 'strng'; did you mean 'string'?",
        "entities.Task.references.b.to: no entity is called 'Usr'; declare it under entities",
    ]
