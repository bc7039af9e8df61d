"""What is offered works, and everything else is refused for the reason that the oracle predicts."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest

from tests import oracle
from tests.oracle import Refusal
from tests.workshop import Workshop, copy

pytestmark = pytest.mark.smoke

WRONG = [triple for triple in oracle.ASKED if oracle.refusal(**triple)]


@pytest.mark.parametrize("triple", WRONG, ids=oracle.label)
def test_a_triple_that_does_not_work_is_refused(
    triple: dict[str, Any], workshop: Workshop, tmp_path: Path
) -> None:
    refusal = oracle.refusal(**triple)
    assert refusal is not None
    question, reason = refusal
    with pytest.raises(ValueError, match=f"^Invalid choice for '{question}': ") as refused:
        copy(workshop.template(), tmp_path / "project", **triple)
    assert reason in str(refused.value)
    assert not (tmp_path / "project").exists()


@pytest.mark.parametrize("triple", oracle.TRIPLES, ids=oracle.label)
def test_a_triple_that_works_is_generated(triple: dict[str, Any], workshop: Workshop) -> None:
    assert (workshop.render(**triple) / "pyproject.toml").exists()


def test_every_two_answers_that_can_go_together_are_rendered_together() -> None:
    """Most combinations of more are, too; see `COMBINATIONS`."""
    everything = [
        dict(zip(oracle.CHOICES, answers, strict=True))
        for answers in product(*oracle.CHOICES.values())
    ]
    for one, other in combinations(oracle.CHOICES, 2):
        pairs = {(each[one], each[other]) for each in everything if oracle.possible(each)}
        assert {(each[one], each[other]) for each in oracle.COMBINATIONS} == pairs


@pytest.mark.parametrize("case", oracle.REFUSALS, ids=[case.when for case in oracle.REFUSALS])
def test_an_answer_that_cannot_be_is_refused_before_anything_is_written(
    case: Refusal, workshop: Workshop, tmp_path: Path
) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the sentence is checked below
        copy(workshop.template(), tmp_path / "project", **case.answers)
    assert str(refused.value).endswith(case.reason) or case.reason in str(refused.value)
    assert not (tmp_path / "project").exists()


@pytest.mark.parametrize("answers", oracle.ACCEPTED.values(), ids=[*oracle.ACCEPTED])
def test_an_unusual_answer_is_accepted(answers: dict[str, Any], workshop: Workshop) -> None:
    project = workshop.render(starter="blank", **answers)
    described = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]
    if "description" in answers:
        assert described["description"] == answers["description"]
    for path in project.rglob("*.py"):
        ast.parse(path.read_text("utf-8"), path)


def test_the_command_line_ends_with_the_reason(workshop: Workshop, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "copier", "copy", "--defaults", "-d", "package=my-package"]
    done = subprocess.run(
        [*command, str(workshop.template()), str(tmp_path / "project")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert done.stderr.strip().splitlines()[-1].endswith("for example 'my_package'")
    assert not (tmp_path / "project").exists()
