"""Every command in the skills for coding agents works in the project."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import skills
from tests.oracle import answers_for
from tests.test_update import commit, edit, update_from_the_file
from tests.workshop import Workshop, copy, environment_of, files

# Other tests run what these do, which takes minutes: here it is enough that they know the options.
LONG = {
    "mypy": "--help",
    "pytest": "--collect-only",
    "pytest --lf": "--collect-only",
    "pytest tests/data_layer/test_round_trips.py": "--collect-only",
    "acme check": "--help",
    "acme db shell": "--help",
}
FIELD = "      due_at:    {type: datetime, optional: true}\n"
NEW_FIELD = "      estimate:  {type: integer, ge: 0, optional: true}\n"
# Of high risk, and pending migrations.
NO_FAILURE = {"db revision": {0, 3}, "db status": {0, 3}}


@pytest.mark.run
@pytest.mark.parametrize("database", ["sqlite", "mongodb"])
def test_the_commands_of_the_skills_work(
    database: str, workshop: Workshop, python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = workshop.new_folder("skills-template") / "template"
    shutil.copytree(workshop.template(), template)
    commit(template, "v1.0.0")
    project = workshop.new_folder("skills") / "project"
    copy(template, project, api=False, **answers_for(database, 1))
    commit(project)
    for name, value in environment_of(python, project).items():
        monkeypatch.setenv(name, value)
    texts = files(project)
    lines = {skill: skills.commands(texts[skills.path_of(skill)]) for skill in skills.SKILLS}
    assert all(lines.values())
    # A migration is reviewed after it was written, and before it is applied.
    change = lines.pop("change-the-schema")
    written = 1 + next(place for place, line in enumerate(change) if "db revision" in line)
    with development_database(project, python):
        edit(project / "data_model.yml", FIELD, FIELD + NEW_FIELD)
        first = [*change[:written], *lines.pop("review-a-migration"), *change[written:]]
        for line in dict.fromkeys(first):
            run(line, project, python)
        model = project / "src" / "acme" / "models" / "task.py"
        text = model.read_text("utf-8")
        model.write_text(re.sub(r"\b200\b", "210", text), "utf-8")
        assert model.read_text("utf-8") != text
        others = dict.fromkeys(line for skill in sorted(lines) for line in lines[skill])
        for line in (line for line in others if line not in first):
            run(line, project, python)
    shutil.rmtree(template.parent)
    shutil.rmtree(project.parent)


@contextmanager
def development_database(project: Path, python: Path) -> Iterator[None]:
    """Run the private database, as the skills say."""
    program = subprocess.Popen(
        [python, "-m", "acme", "dev", "--records", "20"],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert program.stdout
    try:
        said = ""
        while "Press Ctrl-C" not in said:
            line = program.stdout.readline()
            assert line, said
            said += line
        yield
    finally:
        program.terminate()
        program.communicate()


def run(line: str, project: Path, python: Path) -> None:
    """Run a line of a skill, which must succeed."""
    if line.startswith("uvx copier update "):
        assert line == "uvx copier update --data-file data_model.yml --defaults"
        update_from_the_file(project)
        return
    for part in line.split(" && "):
        shown = part.removeprefix("uv run ")
        words = shlex.split(re.sub(r"--records \d+", "--records 30", shown))
        program = [shutil.which("ruff", path=Path(sys.executable).parent)]
        if words[0] in ("acme", "mypy", "pytest"):
            program = [str(python), "-m", words[0]]
        elif words[0] == "git":
            program = ["git"]
        done = subprocess.run(
            [*map(str, program), *words[1:], *filter(None, [LONG.get(shown)])],
            cwd=project,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        good = NO_FAILURE.get(" ".join(words[1:3]), {0})
        assert done.returncode in good, f"{part}\n{done.stdout[-4000:]}{done.stderr[-2000:]}"
