"""The commands of a generated project, and the files that name them."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.oracle import CHOICES, answers_for
from tests.workshop import ROOT, Workshop, environment_of, files

CHECKS = ["ruff check", "ruff format --check", "mypy", "pytest", "db check"]

# What one of the checks finds, each in a file of its own or in a model.
MISTAKES = {
    "src/acme/unused.py": '"""Not used."""\n\nimport json\n',
    "src/acme/layout.py": '"""Not formatted."""\n\nNUMBER  = 1\n',
    "tests/typed.py": '"""Not typed."""\n\nNUMBER: int = "one"\n',
    "tests/test_own.py": "def test_own() -> None:\n    assert 1 == 2\n",
}


def summary(output: str) -> dict[str, str]:
    """Return the word before each check in the summary of `check`."""
    [last] = re.findall(r"(?:^(?:ok|FAILED) .*\n)+\Z", output, re.MULTILINE)
    return {re.split(r"  +", line)[1]: line.split()[0] for line in last.splitlines()}


@pytest.mark.run
def test_check_runs_every_check_and_summarizes(workshop: Workshop, python: Path) -> None:
    answers = {"database": "sqlite", "starter": "blank", "api": False}
    project = workshop.copy_of("check", **answers)
    tests = project / "tests"
    shutil.rmtree(tests)
    tests.mkdir()
    (tests / "__init__.py").write_text('"""Tests."""\n')
    (tests / "test_own.py").write_text(
        '"""A test."""\n\n\ndef test_own() -> None:\n    assert 1 == 1\n'
    )

    # Checking the types of the package takes most of the time, and other tests do it.
    settings = project / "pyproject.toml"
    text = settings.read_text("utf-8")
    settings.write_text(text.replace('packages = ["acme", "tests"]', 'packages = ["tests"]'))
    assert settings.read_text("utf-8") != text

    def check() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [python, "-m", "acme", "check"],
            cwd=project,
            # The database of a developer is not used.
            env=environment_of(python, project) | {"DATABASE_URL": "sqlite:///nowhere/acme.db"},
            capture_output=True,
            text=True,
            check=False,
        )

    done = check()
    assert done.returncode == 0, done.stdout + done.stderr
    assert summary(done.stdout) == dict.fromkeys(CHECKS, "ok")

    for name, text in MISTAKES.items():
        (project / name).write_text(text)
    model = project / "src" / "acme" / "models" / "item.py"
    text = model.read_text("utf-8")
    model.write_text(text.replace("String(200)", "String(100)"), "utf-8")
    assert model.read_text("utf-8") != text
    done = check()
    assert done.returncode == 1
    assert summary(done.stdout) == dict.fromkeys(CHECKS, "FAILED"), done.stdout + done.stderr
    shutil.rmtree(project.parent)


def test_ci_and_the_documents_name_the_command_that_checks_everything(workshop: Workshop) -> None:
    project = files(workshop.render())
    [job] = yaml.safe_load(project[".github/workflows/ci.yml"])["jobs"].values()
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert commands == ["uv sync --locked", "uv run acme check"]
    for document in ("README.md", "AGENTS.md"):
        assert "uv run acme check" in project[document], document


def test_ci_trusts_no_name_that_can_move(workshop: Workshop) -> None:
    """A tag of an action can be moved, a digest cannot; the token is not left in the folder."""
    project = files(workshop.render())
    workflow = yaml.safe_load(project[".github/workflows/ci.yml"])
    assert workflow["permissions"] == {"contents": "read"}
    [job] = workflow["jobs"].values()
    assert job["timeout-minutes"] <= 60
    used = [step for step in job["steps"] if "uses" in step]
    for step in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"])
    assert used[0]["with"] == {"persist-credentials": False}


def test_a_copy_of_the_example_leaves_dev_its_private_database(workshop: Workshop) -> None:
    for database in CHOICES["database"]:
        example = files(workshop.render(**answers_for(database, 0)))[".env.example"]
        given = re.findall(r"^([A-Z_]+)=(.*)$", example, re.MULTILINE)
        assert ("DATABASE_URL", "") in given
        assert [name for name, value in given if value] == []


def test_the_image_contains_what_the_application_needs(workshop: Workshop) -> None:
    folder = workshop.render()
    docker = (folder / "Dockerfile").read_text("utf-8")
    sent = re.findall(r"^!(.*)$", (folder / ".dockerignore").read_text("utf-8"), re.MULTILINE)
    copied = " ".join(re.findall(r"^COPY (?!--from)(.*) \S+$", docker, re.MULTILINE)).split()
    assert {*copied} == {*sent} == {"src", "migrations", "pyproject.toml", "uv.lock", "README.md"}
    assert [name for name in sent if name != "uv.lock" and not (folder / name).exists()] == []
    [served] = re.findall(r"^CMD (.*)$", docker, re.MULTILINE)
    arguments = [argument for argument in yaml.safe_load(served) if argument != "--host=0.0.0.0"]
    command = " ".join(arguments).replace("=", " ")
    assert f"\n{command}\n" in (folder / "README.md").read_text("utf-8")


def test_the_client_of_prisma_is_generated_before_it_is_needed(workshop: Workshop) -> None:
    project = files(workshop.render(orm="prisma"))
    generate = "uv run prisma generate"
    [job] = yaml.safe_load(project[".github/workflows/ci.yml"])["jobs"].values()
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert commands == ["uv sync --locked", generate, "uv run acme check"]
    start, update = (
        project["README.md"].split(f"## {title}")[1] for title in ("Quick start", "Updating")
    )
    assert start.index(f"\n{generate}\n") < start.index("\nuv run pytest\n")
    assert update.index(f"\n{generate}\n") < update.index("\nuv run acme db revision ")
    # Git ignores the client, but a package and the image contain it.
    assert "\n/src/acme/client/\n" in project[".gitignore"]
    settings = tomllib.loads(project["pyproject.toml"])
    assert settings["tool"]["hatch"]["build"]["artifacts"] == ["src/*/client/"]
    _, built, served = project["Dockerfile"].split("\nFROM ")
    assert built.index("prisma generate") < built.index("uv sync --locked --no-dev --no-editable")
    assert "COPY prisma prisma" in built
    assert "COPY prisma prisma" in served
    assert "\n!prisma\n" in project[".dockerignore"]


def test_prisma_is_said_to_be_archived_where_it_is_chosen(workshop: Workshop) -> None:
    questions = yaml.safe_load((ROOT / "copier.yml").read_text("utf-8"))
    [title] = [title for title, orm in questions["orm"]["choices"].items() if orm == "prisma"]
    assert "archived" in title
    [row] = re.findall(r"^\|[^|]*\| `prisma` .*$", (ROOT / "README.md").read_text("utf-8"), re.M)
    assert "archived" in row
    project = files(workshop.render(orm="prisma"))
    for document in ("README.md", "AGENTS.md", "docs/schema.md"):
        assert "archived" in project[document], document
