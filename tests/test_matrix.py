"""Every combination is rendered, parsed and linted, and has nothing of what was not chosen."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import hygiene, leftovers
from tests.oracle import COMBINATIONS, PAIRS, kept_by, label
from tests.workshop import REALISTIC, TRICKY, Workshop, copy, files, model

# For a part that has everything: the extremes of each question, with tables and with documents.
FEW = [
    COMBINATIONS[0],
    *[answers for answers in COMBINATIONS if answers["orm"] == "sqlmodel"][-1:],
    COMBINATIONS[-1],
]

# What is promised of every project is asked by the same bytes, whatever keeps its records.
CONTRACT = {
    f"tests/data_layer/{name}.py"
    for name in (
        "entities",
        "test_api",
        "test_links",
        "test_relations",
        "test_repositories",
        "test_sample_data",
        "test_schemas",
        "test_search",
        "test_settings",
        "world",
    )
}

combinations = pytest.mark.parametrize(
    "answers",
    [
        pytest.param(answers, marks=pytest.mark.smoke if answers in FEW else ())
        for answers in COMBINATIONS
    ],
    ids=label,
)


@combinations
def test_a_combination_is_clean(answers: dict[str, Any], workshop: Workshop) -> None:
    project = files(workshop.render(**answers))
    for path, text in project.items():
        _parse(path, text)
    assert [fault for item in project.items() for fault in hygiene.faults(*item)] == []
    assert [place for item in project.items() for place in hygiene.unrendered(*item)] == []


@combinations
def test_a_combination_has_nothing_of_what_was_not_chosen(
    answers: dict[str, Any], workshop: Workshop
) -> None:
    project = files(workshop.render(**answers))
    found = {
        str(word): word.places(project) for word in leftovers.WORDS if not word.belongs(answers)
    }
    assert {word: places for word, places in found.items() if places} == {}


@combinations
def test_a_combination_tells_nothing_of_where_it_was_made(
    answers: dict[str, Any], workshop: Workshop
) -> None:
    project = files(workshop.render(**answers))
    answered = project.pop(".copier-answers.yml")
    assert "_src_path" in answered
    assert [leak for item in project.items() for leak in hygiene.leaks(*item)] == []
    credits = [line for text in project.values() for line in text.splitlines() if _names_us(line)]
    assert len(credits) <= 1
    assert all(
        _names_us(line) for line in project.get("README.md", "").splitlines() if line in credits
    )


@pytest.mark.parametrize("word", leftovers.WORDS, ids=str)
def test_a_word_of_a_choice_appears_where_it_was_chosen(
    word: leftovers.Word, workshop: Workshop
) -> None:
    for answers in [*FEW, *COMBINATIONS]:
        if word.belongs(answers) and word.places(files(workshop.render(**answers))):
            return
    pytest.fail(f"nothing has {word}: it forbids nothing")


def test_every_combination_is_clean_for_ruff(workshop: Workshop) -> None:
    """One process for all: each project is judged by its own configuration, untouched."""
    ruff([workshop.render(**answers) for answers in reversed(COMBINATIONS)])


@pytest.mark.smoke
@pytest.mark.parametrize(("orm", "database"), [pair for pair in PAIRS if pair[0] != "sqlmodel"])
@pytest.mark.parametrize("package", ["a", "acme_corporation", "a" * 40], ids=len)
def test_a_name_of_any_length_is_clean_for_ruff(
    package: str, orm: str, database: str, workshop: Workshop
) -> None:
    """A name is in many lines, and decides which of them are broken."""
    ruff([workshop.render(package=package, project_name=package, orm=orm, database=database)])


@pytest.mark.parametrize(
    "name", [*(pytest.param(name, marks=pytest.mark.smoke) for name in TRICKY), *REALISTIC]
)
@pytest.mark.parametrize(("orm", "database"), PAIRS)
def test_a_model_of_the_tests_is_clean(
    name: str, orm: str, database: str, workshop: Workshop
) -> None:
    folder = workshop.render(**kept_by(orm, database, model(name)))
    for path, text in files(folder).items():
        _parse(path, text)
        found = [fault for fault in hygiene.faults(path, text) if "characters" not in fault]
        assert found == []
    ruff([folder])


@pytest.mark.smoke
def test_the_same_answers_give_the_same_bytes(workshop: Workshop, tmp_path: Path) -> None:
    answers = model("hostile")
    (tmp_path / "answers.yml").write_text(yaml.safe_dump(answers, sort_keys=False), "utf-8")
    here, there = workshop.render(**answers), tmp_path / "elsewhere" / "project"
    surroundings = {"PYTHONHASHSEED": "4", "LC_ALL": "C.UTF-8", "TZ": "Asia/Kathmandu"}
    command = [sys.executable, "-m", "copier", "copy", "--quiet", "--defaults"]
    command += ["--data-file", str(tmp_path / "answers.yml"), str(workshop.template()), str(there)]
    subprocess.run(command, check=True, cwd=tmp_path, env={**os.environ, **surroundings})
    assert _bytes(there) == _bytes(here)


@pytest.mark.smoke
@pytest.mark.parametrize("name", ["hostile", "forum"])
def test_what_is_promised_is_asked_alike_on_every_database(name: str, workshop: Workshop) -> None:
    asked = []
    for orm, database in (
        ("sqlalchemy", "postgresql"),
        ("sqlmodel", "sqlite"),
        ("beanie", "mongodb"),
    ):
        answers = model(name) | {"orm": orm, "database": database, "primary_key": "uuid7"}
        project = files(workshop.render(**answers))
        asked.append({path: project[path] for path in CONTRACT & project.keys()})
    first, *others = asked
    assert first.keys() >= CONTRACT - {"tests/data_layer/test_search.py"}
    for other in others:
        assert other == first


@pytest.mark.smoke
def test_the_template_needs_no_trust(workshop: Workshop) -> None:
    """Each of these would make `copier copy` ask for it."""
    questions = yaml.safe_load((workshop.template() / "copier.yml").read_text("utf-8"))
    assert {"_tasks", "_jinja_extensions"} & {*questions} == set()


@pytest.mark.smoke
@pytest.mark.filterwarnings("ignore:Dirty template changes")
def test_the_repository_is_a_template_for_pytest_copie(copie: Any) -> None:
    """What its users test their own copies with; it takes the repository, not a copy."""
    result = copie.copy(extra_answers={"starter": "blank", "database": "sqlite"}, vcs_ref="HEAD")
    assert result.exception is None
    assert (result.project_dir / "src" / "acme" / "models" / "item.py").exists()


@pytest.mark.smoke
def test_a_project_can_be_written_into_a_folder_that_is_there(
    workshop: Workshop, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("mine", "utf-8")
    copy(workshop.template(), tmp_path, starter="blank")
    assert (tmp_path / "notes.txt").read_text("utf-8") == "mine"
    assert (tmp_path / "pyproject.toml").exists()


def ruff(projects: list[Path]) -> None:
    """Check that the linter and the formatter would change nothing."""
    ruff = shutil.which("ruff", path=Path(sys.executable).parent)
    assert ruff
    for arguments in (["check", "--output-format=concise"], ["format", "--check"]):
        done = subprocess.run(
            [ruff, *arguments, "--no-cache", "--quiet", *map(str, projects)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout + done.stderr) == (0, "")


def _parse(path: str, text: str) -> None:
    if path.endswith(".py"):
        ast.parse(text, path)
    elif path.endswith((".yml", ".yaml")):
        yaml.safe_load(text)
    elif path.endswith(".toml"):
        tomllib.loads(text)
    elif path.endswith(".json"):
        json.loads(text)


def _bytes(project: Path) -> dict[str, bytes]:
    return {
        path.relative_to(project).as_posix(): path.read_bytes()
        for path in project.rglob("*")
        if path.is_file()
    }


def _names_us(line: str) -> bool:
    return re.search("groundwork", line, re.IGNORECASE) is not None
