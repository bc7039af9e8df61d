"""Every combination renders, parses and lints, and contains nothing of other choices."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import hygiene, leftovers, skills
from tests.oracle import COMBINATIONS, PAIRS, label, stored_by
from tests.workshop import REALISTIC, TRICKY, Workshop, copy, files, model

# The smoke tests: the first and last combination, and one of SQLModel.
FEW = [
    COMBINATIONS[0],
    *[answers for answers in COMBINATIONS if answers["orm"] == "sqlmodel"][-1:],
    COMBINATIONS[-1],
]

# These tests define the behaviour of every project, and are identical on every database.
CONTRACT = {
    f"tests/data_layer/{name}.py"
    for name in (
        "entities",
        "test_api",
        "test_constraints",
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
    assert [place for item in project.items() for place in hygiene.phrases(*item)] == []
    assert skills.faults(project) == []


@combinations
def test_a_combination_contains_nothing_of_other_choices(
    answers: dict[str, Any], workshop: Workshop
) -> None:
    project = files(workshop.render(**answers))
    found = {
        str(word): word.places(project) for word in leftovers.WORDS if not word.belongs(answers)
    }
    assert {word: places for word, places in found.items() if places} == {}


@combinations
def test_a_combination_does_not_reveal_where_it_was_rendered(
    answers: dict[str, Any], workshop: Workshop
) -> None:
    project = files(workshop.render(**answers))
    answered = project.pop(".copier-answers.yml")
    assert "_src_path" in answered
    assert [leak for item in project.items() for leak in hygiene.leaks(*item)] == []
    credits = [
        line
        for text in project.values()
        for line in text.splitlines()
        if _mentions_groundwork(line)
    ]
    assert len(credits) <= 1
    assert all(
        _mentions_groundwork(line)
        for line in project.get("README.md", "").splitlines()
        if line in credits
    )


@pytest.mark.parametrize("word", leftovers.WORDS, ids=str)
def test_a_word_of_a_choice_appears_in_its_projects(
    word: leftovers.Word, workshop: Workshop
) -> None:
    for answers in [*FEW, *COMBINATIONS]:
        if word.belongs(answers) and word.places(files(workshop.render(**answers))):
            return
    pytest.fail(f"no project contains {word}, so it detects nothing")


def test_every_combination_is_clean_for_ruff(workshop: Workshop) -> None:
    """One process checks all projects, each with its own configuration."""
    ruff([workshop.render(**answers) for answers in reversed(COMBINATIONS)])


@pytest.mark.smoke
@pytest.mark.parametrize(("orm", "database"), [pair for pair in PAIRS if pair[0] != "sqlmodel"])
@pytest.mark.parametrize("package", ["a", "acme_corporation", "a" * 40], ids=len)
def test_a_package_name_of_any_length_is_clean_for_ruff(
    package: str, orm: str, database: str, workshop: Workshop
) -> None:
    """The name of the package is in many lines, and its length determines line breaks."""
    ruff([workshop.render(package=package, project_name=package, orm=orm, database=database)])


@pytest.mark.parametrize(
    "name", [*(pytest.param(name, marks=pytest.mark.smoke) for name in TRICKY), *REALISTIC]
)
@pytest.mark.parametrize(("orm", "database"), PAIRS)
def test_a_model_of_the_tests_is_clean(
    name: str, orm: str, database: str, workshop: Workshop
) -> None:
    folder = workshop.render(**stored_by(orm, database, model(name)))
    for path, text in files(folder).items():
        _parse(path, text)
        found = [fault for fault in hygiene.faults(path, text) if "characters" not in fault]
        assert found == []
    assert skills.faults(files(folder)) == []
    ruff([folder])


@pytest.mark.smoke
def test_the_same_answers_give_the_same_bytes(workshop: Workshop, tmp_path: Path) -> None:
    answers = model("hostile")
    (tmp_path / "answers.yml").write_text(yaml.safe_dump(answers, sort_keys=False), "utf-8")
    here, there = workshop.render(**answers), tmp_path / "elsewhere" / "project"
    environment = {"PYTHONHASHSEED": "4", "LC_ALL": "C.UTF-8", "TZ": "Asia/Kathmandu"}
    command = [sys.executable, "-m", "copier", "copy", "--quiet", "--defaults"]
    command += ["--data-file", str(tmp_path / "answers.yml"), str(workshop.template()), str(there)]
    subprocess.run(command, check=True, cwd=tmp_path, env={**os.environ, **environment})
    assert _bytes(there) == _bytes(here)


@pytest.mark.smoke
@pytest.mark.parametrize("name", ["hostile", "forum"])
def test_the_tests_of_behaviour_are_identical_on_every_database(
    name: str, workshop: Workshop
) -> None:
    tests = []
    for orm, database in (
        ("sqlalchemy", "postgresql"),
        ("sqlmodel", "sqlite"),
        ("beanie", "mongodb"),
        ("prisma", "postgresql"),
    ):
        answers = model(name) | {"orm": orm, "database": database, "primary_key": "uuid7"}
        project = files(workshop.render(**answers))
        tests.append({path: project[path] for path in CONTRACT & project.keys()})
    first, *others = tests
    assert first.keys() >= CONTRACT - {"tests/data_layer/test_search.py"}
    for other in others:
        assert other == first


@pytest.mark.smoke
def test_the_template_needs_no_trust(workshop: Workshop) -> None:
    """These settings make `copier copy` ask for it."""
    questions = yaml.safe_load((workshop.template() / "copier.yml").read_text("utf-8"))
    assert {"_tasks", "_jinja_extensions"} & {*questions} == set()


@pytest.mark.smoke
@pytest.mark.filterwarnings("ignore:Dirty template changes")
def test_the_repository_is_a_template_for_pytest_copie(copie: Any) -> None:
    """Users test their forks with pytest-copie, which needs the repository, not a copy."""
    result = copie.copy(extra_answers={"starter": "blank", "database": "sqlite"}, vcs_ref="HEAD")
    assert result.exception is None
    assert (result.project_dir / "src" / "acme" / "models" / "item.py").exists()


@pytest.mark.smoke
def test_a_project_can_be_rendered_into_an_existing_folder(
    workshop: Workshop, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("existing", "utf-8")
    copy(workshop.template(), tmp_path, starter="blank")
    assert (tmp_path / "notes.txt").read_text("utf-8") == "existing"
    assert (tmp_path / "pyproject.toml").exists()


def ruff(projects: list[Path]) -> None:
    """Check that the linter and the formatter find nothing to change."""
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


@cache
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


def _mentions_groundwork(line: str) -> bool:
    return re.search("groundwork", line, re.IGNORECASE) is not None
