"""Valid answers generate a project, and all others are rejected for the predicted reason."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest

from tests import oracle
from tests.oracle import Rejection
from tests.workshop import Workshop, copy

pytestmark = pytest.mark.smoke

INVALID = [triple for triple in oracle.ASKED if oracle.rejection(**triple)]


@pytest.mark.parametrize("triple", INVALID, ids=oracle.label)
def test_a_triple_that_does_not_work_is_rejected(
    triple: dict[str, Any], workshop: Workshop, tmp_path: Path
) -> None:
    rejection = oracle.rejection(**triple)
    assert rejection is not None
    question, reason = rejection
    with pytest.raises(ValueError, match=f"^Invalid choice for '{question}': ") as caught:
        copy(workshop.template(), tmp_path / "project", **triple)
    assert reason in str(caught.value)
    assert not (tmp_path / "project").exists()


@pytest.mark.parametrize("triple", oracle.TRIPLES, ids=oracle.label)
def test_a_triple_that_works_is_generated(triple: dict[str, Any], workshop: Workshop) -> None:
    assert (workshop.render(**triple) / "pyproject.toml").exists()


def test_every_valid_pair_of_answers_is_rendered() -> None:
    """Most larger combinations are rendered, too; see `COMBINATIONS`."""
    everything = [
        dict(zip(oracle.CHOICES, answers, strict=True))
        for answers in product(*oracle.CHOICES.values())
    ]
    for one, other in combinations(oracle.CHOICES, 2):
        pairs = {(each[one], each[other]) for each in everything if oracle.possible(each)}
        assert {(each[one], each[other]) for each in oracle.COMBINATIONS} == pairs


@pytest.mark.parametrize("case", oracle.REJECTED, ids=[case.when for case in oracle.REJECTED])
def test_an_invalid_answer_is_rejected_before_anything_is_written(
    case: Rejection, workshop: Workshop, tmp_path: Path
) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is checked below
        copy(workshop.template(), tmp_path / "project", **case.answers)
    assert str(caught.value).endswith(case.reason) or case.reason in str(caught.value)
    assert not (tmp_path / "project").exists()


@pytest.mark.parametrize("answers", oracle.ACCEPTED.values(), ids=[*oracle.ACCEPTED])
def test_an_unusual_answer_is_accepted(answers: dict[str, Any], workshop: Workshop) -> None:
    project = workshop.render(starter="blank", **answers)
    described = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]
    if "description" in answers:
        assert described["description"] == answers["description"]
    for path in project.rglob("*.py"):
        ast.parse(path.read_text("utf-8"), path)


def test_the_command_line_prints_the_reason_without_a_traceback(
    workshop: Workshop, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "copier", "copy", "--defaults", "-d", "package=my-package"]
    done = subprocess.run(
        [*command, str(workshop.template()), str(tmp_path / "project")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    first, reason, last = re.sub(r"\x1b\[\d+m", "", done.stderr).split("\n\n")
    assert first.strip() == "Nothing was generated. Correct these answers:"
    assert reason.startswith('    package: "my-package" is not a valid package name')
    assert reason.endswith("for example 'my_package'")
    assert last.strip() == "'valid_answers' is undefined"
    assert not (tmp_path / "project").exists()
