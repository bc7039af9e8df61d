"""Each mutation of the template is noticed by the test that states the broken promise."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests import engines
from tests.mutations.table import Mutation, read_tables
from tests.workshop import ROOT, Workshop, copy, copy_repository, environment_of

MUTATIONS = read_tables()

# More than the tests of any mutation need on a slow machine.
SECONDS = 900

FAILED = re.compile(r"^(?:FAILED|ERROR) \S+?::(?P<test>\w+)", re.MULTILINE)
TEST = re.compile(r"def (test_\w+)")


def test_every_mutation_applies(workshop: Workshop, tmp_path: Path) -> None:
    gone = []
    for turn, mutation in enumerate(MUTATIONS):
        file = tmp_path / str(turn) / mutation.file
        file.parent.mkdir(parents=True)
        if (workshop.template() / mutation.file).exists():
            shutil.copy(workshop.template() / mutation.file, file)
        try:
            mutation.apply(tmp_path / str(turn))
        except LookupError as error:
            gone.append(str(error))
    assert not gone, "\n\n".join(gone)


def test_the_test_of_every_mutation_exists() -> None:
    ours = {test for path in (ROOT / "tests").rglob("*.py") for test in names_of_tests(path)}
    generated = {
        test
        for folder in ("template", "flavours")
        for path in (ROOT / folder).rglob("*test_*.jinja")
        for test in names_of_tests(path)
    }
    missing = [
        f"{mutation.harm}: {mutation.caught_by}"
        for mutation in MUTATIONS
        if mutation.test not in (ours if mutation.answers is None else generated)
    ]
    assert not missing, "\n".join(missing)


def test_every_harm_is_described_once() -> None:
    counted = Counter(mutation.harm for mutation in MUTATIONS)
    assert [harm for harm, times in counted.items() if times > 1] == []


def test_a_mutation_is_caught(mutation: Mutation, workshop: Workshop, python: Path) -> None:
    folder = workshop.new_folder("mutation")
    if mutation.answers is None:
        done = run_ours(mutation, workshop, folder)
    else:
        done = run_generated(mutation, workshop, folder, python)
    output = "\n".join((done.stdout + done.stderr).splitlines()[-60:])
    broken = f"{mutation.harm} ({mutation.file})"
    if done.returncode == 0:
        pytest.fail(f"no test noticed: {broken}\n{output}", pytrace=False)
    failed = FAILED.search(done.stdout)
    if failed is None:
        pytest.fail(f"the tests did not run: {broken}\n{output}", pytrace=False)
    if failed["test"] != mutation.test:
        pytest.fail(
            f"{failed['test']} failed before {mutation.test}: {broken}\n{output}", pytrace=False
        )
    shutil.rmtree(folder)


def run_generated(
    mutation: Mutation, workshop: Workshop, folder: Path, python: Path
) -> subprocess.CompletedProcess[str]:
    """Run tests of a project that the mutated template generates."""
    template = shutil.copytree(workshop.template(), folder / "template", copy_function=os.link)
    mutation.apply(template)
    project = folder / "project"
    copy(template, project, **mutation.answers or {})
    return _pytest(python, mutation, project, environment_of(python, project))


def run_ours(
    mutation: Mutation, workshop: Workshop, folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run tests of this repository on the mutated template."""
    repository = folder / "repository"
    copy_repository(repository)
    mutation.apply(repository)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")
    }
    environment["GROUNDWORK_WORKSHOP"] = str(workshop.shared)
    environment["GROUNDWORK_ENGINES"] = str(engines.FOLDER)
    return _pytest(Path(sys.executable), mutation, repository, environment)


def _pytest(
    python: Path, mutation: Mutation, folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    options = ["-x", "-rfE", "--tb=short", "-p", "no:cacheprovider"]
    return subprocess.run(
        [python, "-m", "pytest", *options, *mutation.run],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )


def names_of_tests(path: Path) -> list[str]:
    """Return the names of the tests that a file defines."""
    return TEST.findall(path.read_text("utf-8"))
