"""Answers that Copier itself would ignore or misread are rejected, on copy and on update."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from copier.errors import UserMessageError

from tests.oracle import SESSIONS, SUPPORTED
from tests.test_update import commit, git, update
from tests.workshop import Workshop, copy

MISTAKES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a misspelt answer": (
        {"databse": "sqlite"},
        ["no answer is called 'databse'; did you mean 'database'?"],
    ),
    "a misspelt data model": (
        {"entitys": {"Note": {"fields": {"text": {"type": "string"}}}}},
        ["no answer is called 'entitys'; did you mean 'entities'?"],
    ),
    "no yes and no no": (
        {"api": "maybe"},
        ['api: must be true or false, not "maybe"'],
    ),
    "almost no": (
        {"api": "flase"},
        ["api: must be true or false, not \"flase\"; did you mean 'false'?"],
    ),
    "two letters that changed places": (
        {"ic": "none"},
        ["no answer is called 'ic'; did you mean 'ci'?"],
    ),
    "yes where a text belongs": (
        {"description": True},
        ["description: must be text; put it in quotes"],
    ),
    "several": (
        {"Orm": "beanie", "colour": "red"},
        [
            "no answer is called 'Orm'; did you mean 'orm'?",
            "no answer is called 'colour'; the answers are project_name, package, description, "
            "orm, database, primary_key, sessions, api, ci, starter, entities",
        ],
    ),
    "a computed one": (
        {"has_links": True},
        [
            "no answer is called 'has_links'; the answers are project_name, package, description, "
            "orm, database, primary_key, sessions, api, ci, starter, entities"
        ],
    ),
}


def in_one_line(error: UserMessageError) -> list[str]:
    """Return what an update reports, which is the name of something undefined."""
    name = ast.literal_eval(str(error).removeprefix("'dict object' has no attribute "))
    return str(name).removeprefix("wrong answers: ").split(" | ")


def problems(error: ValueError) -> list[str]:
    """Return the lines of a message of Copier."""
    return str(error).removeprefix("Validation error for question 'project_name': ").split("\n")


@pytest.mark.parametrize(("answers", "expected"), MISTAKES.values(), ids=[*MISTAKES])
def test_an_answer_that_would_be_ignored_is_rejected(
    answers: dict[str, Any], expected: list[str], workshop: Workshop, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="Validation error") as caught:
        copy(workshop.template(), tmp_path / "project", **answers)
    assert problems(caught.value) == expected
    assert not (tmp_path / "project").exists()


@pytest.mark.parametrize("value", [True, False, "true", "no", "Y", "off", 1, "0"])
def test_yes_and_no_can_be_written_in_many_ways(
    value: object, workshop: Workshop, tmp_path: Path
) -> None:
    # A later answer is rejected, so that nothing is rendered.
    with pytest.raises(ValueError, match="Invalid choice for 'ci'"):
        copy(workshop.template(), tmp_path / "project", api=value, ci="jenkins")


def test_an_update_rejects_unknown_answers(workshop: Workshop, tmp_path: Path) -> None:
    template, project = tmp_path / "template", tmp_path / "project"
    shutil.copytree(workshop.template(), template)
    commit(template, "v1.0.0")
    copy(template, project, starter="blank", api=False)
    commit(project)
    before = git(project, "rev-parse", "HEAD")
    with pytest.raises(UserMessageError) as caught:
        update(project, databse="sqlite")
    assert in_one_line(caught.value) == MISTAKES["a misspelt answer"][1]
    (tmp_path / "data.yml").write_text("entitys: {}\n", "utf-8")
    command = [sys.executable, "-m", "copier", "update", "--defaults", "--data-file"]
    done = subprocess.run(
        [*command, str(tmp_path / "data.yml")],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert MISTAKES["a misspelt data model"][1][0] in done.stderr
    assert "Traceback" not in done.stderr
    assert (git(project, "rev-parse", "HEAD"), git(project, "status", "--porcelain")) == (
        before,
        "",
    )
    # An answer that an older template recorded is no mistake of the user.
    answers = project / ".copier-answers.yml"
    answers.write_text(answers.read_text("utf-8") + "retired: true\n", "utf-8")
    commit(project)
    update(project)


def test_the_known_answers_are_the_questions(workshop: Workshop) -> None:
    template = workshop.template()
    questions = yaml.safe_load((template / "copier.yml").read_text("utf-8"))
    asked = [
        name
        for name, question in questions.items()
        if not name.startswith("_") and question.get("when") is not False
    ]
    source = (template / "data_model" / "validate_answers.jinja").read_text("utf-8")
    [known] = re.findall(r"set asked = \[(.*?)\]", source, re.DOTALL)
    assert re.findall(r"'(\w+)'", known) == asked


def test_copier_reads_other_words_as_true(tmp_path: Path) -> None:
    """If this fails, the check of `api` is no longer needed."""
    (tmp_path / "copier.yml").write_text("api: {type: bool, default: false}\n", "utf-8")
    (tmp_path / "answer.jinja").write_text("{{ api }}", "utf-8")
    copier.run_copy(str(tmp_path), tmp_path / "out", data={"api": "maybe"}, quiet=True)
    assert (tmp_path / "out" / "answer").read_text("utf-8") == "True"


# What Copier prints before and after the wrong answers of a copy.
FIRST, LAST = "Nothing was generated. Correct these answers:", "'valid_answers' is undefined"

MODEL = {
    "Task": {
        "fields": {"title": {"type": "strng"}},
        "references": {"category": {"to": "Categry"}},
        "indexes": [{"on": ["title"]}],
    },
    "Category": {"fields": {"name": {"type": "string"}}},
}

REPORTED: dict[str, tuple[dict[str, Any], list[str]]] = {
    **MISTAKES,
    "a wrong model": (
        {"entities": MODEL},
        [
            "entities.Task.fields.title.type: no type is called 'strng'; did you mean 'string'?",
            "entities.Task.references.category.to: no entity is called 'Categry'; did you mean "
            "'Category'?",
            "entities.Task.indexes[0]: why is missing; say which query uses it",
        ],
    ),
    "the start of a choice": (
        {"database": "postgre"},
        ["database: no choice is called \"postgre\"; did you mean 'postgresql'?"],
    ),
    "choices that exclude each other": (
        {"orm": "beanie", "database": "sqlite", "sessions": "both"},
        [
            "database: sqlite is unavailable with the ORM beanie; choose mongodb, or another ORM",
            "sessions: both is unavailable with the ORM beanie; choose async, or another ORM",
        ],
    ),
    "what Prisma lacks": (
        {"orm": "prisma", "database": "mongodb", "sessions": "both"},
        [
            "database: mongodb is unavailable with the ORM prisma, which stores tables here; "
            "choose postgresql, neon, sqlite, or the ORM beanie",
            "sessions: both is unavailable with the ORM prisma, which is async only; "
            "choose async, or the ORM sqlalchemy or sqlmodel",
        ],
    ),
    "a database that Prisma is not tested on": (
        {"orm": "prisma", "database": "mysql"},
        [
            "database: mysql is unavailable with the ORM prisma, which is not tested on it; "
            "choose postgresql, neon, sqlite, or the ORM sqlalchemy or sqlmodel"
        ],
    ),
    "an invalid name": (
        {"package": "my-package"},
        [
            'package: "my-package" is not a valid package name; use lower-case letters, digits '
            "and underscores, for example 'my_package'"
        ],
    ),
}


@pytest.mark.parametrize(("answers", "expected"), REPORTED.values(), ids=[*REPORTED])
def test_wrong_answers_are_reported_line_by_line_without_a_traceback(
    answers: dict[str, Any],
    expected: list[str],
    workshop: Workshop,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(UserMessageError) as caught:
        copier.run_copy(str(workshop.template()), tmp_path / "project", data=answers, defaults=True)
    assert str(caught.value) == LAST
    printed = [line for line in capsys.readouterr().err.splitlines() if line]
    assert printed == [FIRST, *(f"    {line}" for line in expected)]
    assert not (tmp_path / "project").exists()


def test_the_choices_that_are_checked_first_are_those_of_the_questions(workshop: Workshop) -> None:
    template = workshop.template()
    questions = yaml.safe_load((template / "copier.yml").read_text("utf-8"))
    offered = {
        name: [each["value"] if isinstance(each, dict) else each for each in listed.values()]
        for name, question in questions.items()
        if isinstance(question, dict) and (listed := question.get("choices"))
    }
    source = (template / "data_model" / "answer_problems.jinja").read_text("utf-8")
    [known] = re.findall(r"set choices = (\{.*?\}) -%\}", source, re.DOTALL)
    assert ast.literal_eval(known) == offered
    [sql] = re.findall(r"set of_sql = (\{.*?\}) -%\}", source, re.DOTALL)
    [left] = re.findall(r"set of_orm = (\{.*?\}) -%\}", source, re.DOTALL)
    assert ast.literal_eval(left.replace("of_sql", sql)) == {
        orm: {
            name: [value for value in offered[name] if value in possible]
            for name, possible in {
                "database": SUPPORTED[orm],
                "primary_key": set().union(*SUPPORTED[orm].values()),
                "sessions": SESSIONS[orm],
            }.items()
        }
        for orm in offered["orm"]
    }
