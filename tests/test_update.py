"""An update brings a project up to date and keeps what its user wrote."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from copier.errors import UserMessageError

from tests.workshop import Workshop, copy, files

# What is written once and then belongs to the user.
MIGRATIONS = "migrations/versions/*.py"
WRITTEN_ONCE = [
    "data_model.yml",
    "MULTI_AGENT_PLAN.md",
    ".claude/settings.json",
    MIGRATIONS,
    "prisma/migrations/*/*",
]
COMMENT = "# Ours: agreed with Ada on Monday."
QUERY = '''
    async def overdue(self) -> int:
        """Count what should have been done by now."""
        return await self.count(status="pending")
'''
METHOD = '''
    @property
    def is_urgent(self) -> bool:
        """Whether it should be done first."""
        return self.priority == 1
'''


def git(folder: Path, *arguments: str) -> str:
    """Run git and return what it says."""
    return subprocess.check_output(["git", *arguments], cwd=folder, text=True)


def commit(folder: Path, tag: str | None = None) -> None:
    """Commit everything, in a repository that begins here if need be."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=A change")
    if tag:
        git(folder, "tag", tag)


@pytest.fixture
def template(workshop: Workshop, tmp_path: Path) -> Path:
    """A repository that has released the template as it is now."""
    folder = tmp_path / "template"
    shutil.copytree(workshop.template(), folder)
    commit(folder, "v1.0.0")
    return folder


@pytest.fixture
def generate(template: Path, tmp_path: Path) -> Callable[..., Path]:
    """Generate a project from the last release, and commit it."""

    def generate(**answers: Any) -> Path:
        project = tmp_path / "project"
        copy(template, project, **answers)
        commit(project)
        return project

    return generate


def update(project: Path, **answers: Any) -> None:
    """What `copier update --defaults` does, without trust."""
    copier.run_update(
        project, data=answers, defaults=True, overwrite=True, unsafe=False, quiet=True
    )


def edit(path: Path, old: str, new: str) -> None:
    """Replace a text that is there once."""
    text = path.read_text("utf-8")
    assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {path}"
    path.write_text(text.replace(old, new), "utf-8")


# What users append to files of every kind.
APPENDED = {
    "src/acme/repositories/task.py": QUERY,
    "src/acme/models/task.py": METHOD,
    "src/acme/schemas/task.py": '''

class TaskSummary(ResponseSchema):
    """A task in a list of ours."""

    title: str
''',
    "src/acme/api/routes/task.py": '''

@router.get("/overdue")
async def count_overdue(tasks: Reading) -> int:
    """Count your tasks that should have been done by now."""
    return await tasks.overdue()
''',
    "src/acme/errors.py": '''

class TooManyTasks(DataLayerError):
    """A user has more tasks than anyone can do."""
''',
    "tests/test_task.py": """

async def test_a_task_of_ours(add: Add) -> None:
    assert (await add(Task, title="Ours")).title == "Ours"
""",
    "tests/conftest.py": '''

@pytest.fixture
def answer() -> int:
    """The answer."""
    return 42
''',
    "src/acme/development/sample_data.py": '''

def make_report() -> str:
    """Generate a report."""
    return "All is well."
''',
    ".env.example": "MAIL_HOST=localhost\n",
    ".gitignore": "/reports/\n",
    "pyproject.toml": '\n[tool.ours]\nreports = "weekly"\n',
    "AGENTS.md": "- Ask Ada before you add an index.\n",
    "README.md": "\nAsk Ada before you deploy.\n",
    "docs/queries.md": "\nReports of ours are in `repositories/task.py`.\n",
}


def edit_as_a_user_does(project: Path) -> dict[str, str]:
    """Write something into generated files; the texts that have to survive, by file."""
    model = project / "src/acme/models/category.py"
    headline = model.read_text("utf-8").splitlines()[0]
    edit(model, headline, headline.removesuffix('."""') + ', which marketing fills."""')
    for path, text in APPENDED.items():
        with (project / path).open("a", encoding="utf-8") as file:
            file.write(text)
    return {**APPENDED, "src/acme/models/category.py": "which marketing fills"}


def add_to_the_model(project: Path) -> None:
    """Change the data model: fields, indexes, a link, an entity, and a comment of one's own.

    They change the last generated lines of the files of tasks.
    """
    data_model = project / "data_model.yml"
    edit(
        data_model,
        "      due_at:    {type: datetime, optional: true}\n",
        "      due_at:    {type: datetime, optional: true}\n"
        f"      {COMMENT}\n"
        "      estimate:  {type: integer, ge: 0, optional: true}\n",
    )
    edit(
        data_model,
        "    many_to_many:\n",
        "    many_to_many:\n      helpers: {to: User, inverse: helps}\n",
    )
    edit(
        data_model,
        "    indexes:\n",
        "    indexes:\n      - {on: [owner, estimate], why: Our plan for the week.}\n",
    )
    with data_model.open("a", encoding="utf-8") as file:
        file.write(
            "  Reminder:\n    owned_by: User\n    fields:\n      remind_at: {type: datetime}\n"
        )


def update_from_the_file(project: Path) -> str:
    """Run the command that data_model.yml names, and return its messages."""
    command = [sys.executable, "-m", "copier", "update", "--data-file", "data_model.yml"]
    done = subprocess.run(
        [*command, "--defaults"], cwd=project, check=True, capture_output=True, text=True
    )
    return done.stderr


def rendered(project: Path, *edited: str) -> dict[str, Any]:
    """What an update may rewrite, but for the files that were edited.

    The answers are compared as answers: Copier writes those that were given before the others.
    """
    found: dict[str, Any] = {
        path: text
        for path, text in files(project).items()
        if path not in edited and not any(fnmatch(path, pattern) for pattern in WRITTEN_ONCE)
    }
    found[".copier-answers.yml"] = yaml.safe_load(found[".copier-answers.yml"])
    return found


def assert_no_conflict(project: Path) -> None:
    assert [*project.rglob("*.rej")] == []
    for path, text in files(project).items():
        assert not any(line.startswith(("<<<<<<<", ">>>>>>>")) for line in text.splitlines()), path


@pytest.mark.smoke
def test_the_template_says_what_is_written_once(template: Path) -> None:
    questions = yaml.safe_load((template / "copier.yml").read_text("utf-8"))
    assert sorted(questions["_skip_if_exists"]) == sorted(WRITTEN_ONCE)


@pytest.mark.smoke
def test_when_nothing_changed_an_update_changes_nothing(generate: Callable[..., Path]) -> None:
    project = generate()
    update(project)
    assert git(project, "status", "--porcelain") == ""


@pytest.mark.smoke
@pytest.mark.parametrize("orm", ["sqlalchemy", "beanie"])
def test_when_the_model_changes_the_code_follows_and_edits_survive(
    orm: str, generate: Callable[..., Path], template: Path, tmp_path: Path
) -> None:
    project = generate(orm=orm)
    before = files(project)
    edits = edit_as_a_user_does(project)
    add_to_the_model(project)
    mine = (project / "data_model.yml").read_text("utf-8")
    commit(project)
    update_from_the_file(project)

    after = files(project)
    assert_no_conflict(project)
    for path, text in edits.items():
        assert text in after[path], path
    assert "estimate" in after["src/acme/models/task.py"]
    assert "estimate" in after["src/acme/schemas/task.py"]
    assert {f"src/acme/{part}/reminder.py" for part in ("models", "schemas", "repositories")} <= {
        *after
    }
    assert after["data_model.yml"] == mine
    assert _migrations(after) == _migrations(before)

    copy(template, tmp_path / "fresh", **{"orm": orm, **yaml.safe_load(mine)})
    assert rendered(project, *edits) == rendered(tmp_path / "fresh", *edits)


def test_a_data_model_in_the_new_project_stays_as_its_user_wrote_it(
    template: Path, tmp_path: Path
) -> None:
    written = f"""\
# Written by Ada.
project_name:   Acme
starter:        blank

entities:
  Zoo:                      {COMMENT}
    fields:
      name:     {{ type: string,  max_length: 40 }}
      animals:  {{ max_length: 9, type: string }}
    indexes:
      - {{ why: "Lists of zoos.", on: [ name ] }}
"""
    project, elsewhere = tmp_path / "project", tmp_path / "model.yml"
    project.mkdir()
    for file in (project / "data_model.yml", elsewhere):
        file.write_text(written, "utf-8")
    said = {}
    for file, folder in ((project / "data_model.yml", project), (elsewhere, tmp_path / "other")):
        command = [sys.executable, "-m", "copier", "copy", "--defaults", "--data-file", str(file)]
        answers = ["-d", "database=sqlite", str(template), str(folder)]
        done = subprocess.run([*command, *answers], check=True, capture_output=True, text=True)
        said[folder.name] = "copy that file over it" in done.stderr
    assert said == {"project": False, "other": True}
    assert (project / "src/acme/models/zoo.py").exists()
    commit(project)
    update_from_the_file(project)
    assert (project / "data_model.yml").read_text("utf-8") == written
    assert git(project, "status", "--porcelain") == ""


def test_a_project_from_a_relative_path_can_be_updated(template: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "copier", "copy", "--defaults", "--quiet"]
    answers = ["-d", "starter=blank", "-d", "database=sqlite"]
    subprocess.run([*command, *answers, ".", "../project"], cwd=template, check=True)
    project = tmp_path / "project"
    commit(project)
    command = [sys.executable, "-m", "copier", "update", "--defaults"]
    done = subprocess.run(command, cwd=project, check=True, capture_output=True, text=True)
    assert "Updating project to template v1.0.0." in done.stderr
    assert "git diff --name-only --diff-filter=U" in done.stderr
    assert git(project, "status", "--porcelain") == ""


def test_when_an_entity_is_removed_what_was_made_of_it_goes(
    generate: Callable[..., Path], template: Path, tmp_path: Path
) -> None:
    project = generate()
    data_model = yaml.safe_load((project / "data_model.yml").read_text("utf-8"))
    del data_model["entities"]["Tag"]
    del data_model["entities"]["Task"]["many_to_many"]
    edited = ["models/tag.py", "repositories/tag.py"]
    for path in edited:
        with (project / "src/acme" / path).open("a", encoding="utf-8") as file:
            file.write("    ours = 1\n")
    (project / "data_model.yml").write_text(yaml.safe_dump(data_model, sort_keys=False), "utf-8")
    commit(project)
    said = update_from_the_file(project)
    copy(template, tmp_path / "fresh", **data_model)
    assert rendered(project) == rendered(tmp_path / "fresh")

    # The message names what it deleted, and what it says brings it back.
    deleted = re.findall(r"^ +((?:src|tests)/\S+)$", said, re.MULTILINE)
    assert {"tests/test_tag.py", *(f"src/acme/{path}" for path in edited)} <= {*deleted}
    assert {*deleted} <= {*git(project, "diff", "--name-only", "--diff-filter=D").split()}
    git(project, "restore", *deleted)
    for path in edited:
        assert (project / "src/acme" / path).read_text("utf-8").endswith("    ours = 1\n")


def test_the_order_of_entities_and_fields_survives(generate: Callable[..., Path]) -> None:
    fields = {name: {"type": "date"} for name in ("zulu", "alpha", "mike")}
    entities = {name: {"fields": fields} for name in ("Zulu", "Alpha", "Mike")}
    project = generate(entities=entities)
    update(project)
    assert git(project, "status", "--porcelain") == ""
    answers = yaml.safe_load((project / ".copier-answers.yml").read_text("utf-8"))
    assert [*answers["entities"]] == ["Zulu", "Alpha", "Mike"]
    assert [*answers["entities"]["Mike"]["fields"]] == ["zulu", "alpha", "mike"]
    text = (project / "src/acme/models/mike.py").read_text("utf-8")
    assert text.index("zulu:") < text.index("alpha:") < text.index("mike:")


def test_two_branches_that_changed_the_model_are_merged_as_the_documents_say(
    generate: Callable[..., Path], template: Path, tmp_path: Path
) -> None:
    answers = {"database": "sqlite", "api": False, "ci": "none"}
    project = generate(**answers, entities={"Animal": {"fields": {"born": {"type": "date"}}}})
    added = {
        name: f"  {name}:\n    fields:\n      code: {{type: integer}}\n"
        for name in ("Badge", "Car")
    }
    for name, text in added.items():
        git(project, "checkout", "--quiet", "-b", name, "main")
        with (project / "data_model.yml").open("a", encoding="utf-8") as file:
            file.write(text)
        commit(project)
        update_from_the_file(project)
        commit(project)
    subprocess.run(["git", "merge", "--quiet", "Badge"], cwd=project, check=False)
    unmerged = git(project, "diff", "--name-only", "--diff-filter=U").split()
    assert {"data_model.yml", "docs/schema.svg"} <= {*unmerged}
    git(project, "checkout", "--quiet", "HEAD", "--", ".copier-answers.yml", *unmerged)
    with (project / "data_model.yml").open("a", encoding="utf-8") as file:
        file.write(added["Badge"])
    commit(project)
    update_from_the_file(project)
    assert_no_conflict(project)
    model = yaml.safe_load((project / "data_model.yml").read_text("utf-8"))
    copy(template, tmp_path / "fresh", **{**answers, **model})
    assert rendered(project) == rendered(tmp_path / "fresh")


@pytest.mark.parametrize("database", ["postgresql", "sqlite"])
def test_a_newer_template_gives_what_a_fresh_copy_gives_plus_the_edits(
    database: str, generate: Callable[..., Path], template: Path, tmp_path: Path
) -> None:
    project = generate(database=database)
    edits = edit_as_a_user_does(project)
    commit(project)

    edit(
        template / "flavours/sqlalchemy/schema_base.py.jinja",
        '"""A record in a response."""',
        '"""A record that a client receives."""',
    )
    repository = template / "flavours/sqlalchemy/repository.py.jinja"
    edit(repository, "The repository of ", "How to reach ")
    migration = template / "flavours/sqlalchemy/migration.py.jinja"
    edit(migration, "Create the first tables.", "Create tables.")
    commit(template, "v1.1.0")
    update(project)

    after = files(project)
    assert_no_conflict(project)
    assert "that a client receives" in after["src/acme/schemas/base.py"]
    assert after["src/acme/repositories/task.py"].startswith('"""How to reach tasks."""')
    for path, text in edits.items():
        assert text in after[path], path
    [migrated] = _migrations(after).values()
    assert "Create the first tables." in migrated

    copy(template, tmp_path / "fresh", database=database)
    assert rendered(project, *edits) == rendered(tmp_path / "fresh", *edits)


def test_a_user_who_deletes_a_file_does_not_get_it_back(
    generate: Callable[..., Path], template: Path
) -> None:
    project = generate()
    (project / "compose.yaml").unlink()
    commit(project)
    edit(
        template / "flavours/sqlalchemy/repository.py.jinja", "The repository of ", "How to reach "
    )
    commit(template, "v1.1.0")
    update(project)
    assert not (project / "compose.yaml").exists()


def test_an_answer_can_be_changed(
    generate: Callable[..., Path], template: Path, tmp_path: Path
) -> None:
    project = generate()
    update(project, api=False, ci="none")
    copy(template, tmp_path / "fresh", api=False, ci="none")
    assert rendered(project) == rendered(tmp_path / "fresh")


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"database": "sqlite"}, "the data of this project is in postgresql"),
        ({"primary_key": "integer"}, "the keys of this project are of type uuid"),
    ],
)
def test_an_update_that_would_need_other_tables_is_rejected(
    answers: dict[str, str], said: str, generate: Callable[..., Path]
) -> None:
    project = generate()
    with pytest.raises(UserMessageError, match=said):
        update(project, **answers)
    assert git(project, "status", "--porcelain") == ""
    update(project, database="neon", primary_key="uuid4")


@pytest.mark.parametrize("database", ["postgresql", "sqlite"])
def test_when_the_orm_is_switched_edits_and_migrations_stay(
    database: str, generate: Callable[..., Path], template: Path, tmp_path: Path
) -> None:
    project = generate(database=database)
    before = files(project)
    edits = edit_as_a_user_does(project)
    commit(project)
    update(project, orm="sqlmodel")

    after = files(project)
    assert_no_conflict(project)
    for path, text in edits.items():
        assert text in after[path], path
    assert "table=True" in after["src/acme/models/category.py"]
    assert _migrations(after) == _migrations(before)

    copy(template, tmp_path / "fresh", orm="sqlmodel", database=database)
    assert rendered(project, *edits) == rendered(tmp_path / "fresh", *edits)


def _migrations(project: dict[str, str]) -> dict[str, str]:
    return {path: text for path, text in project.items() if fnmatch(path, MIGRATIONS)}


OWN_SKILL = "---\nname: write-a-test\ndescription: Ours. Use it always.\n---\n\nAsk Ada.\n"
OWN_SETTINGS = '{"permissions": {"allow": ["Bash(make:*)"]}}\n'


def test_files_for_agents_are_added_to_a_project_that_has_its_own(
    workshop: Workshop, tmp_path: Path
) -> None:
    template, project = tmp_path / "template", tmp_path / "project"
    shutil.copytree(workshop.template(), template)
    for home in (".agents", ".claude"):
        (template / "template" / "python" / home).rename(tmp_path / home)
    commit(template, "v1.0.0")
    copy(template, project)
    own = {
        ".claude/settings.json": OWN_SETTINGS,
        ".claude/skills/deploy/SKILL.md": OWN_SKILL,
        ".claude/agents/reviewer.md": OWN_SKILL,
    }
    for path, text in own.items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(text, "utf-8")
    same_name = project / ".claude" / "skills" / "write-a-test" / "SKILL.md"
    same_name.parent.mkdir()
    same_name.write_text(OWN_SKILL, "utf-8")
    commit(project)
    for home in (".agents", ".claude"):
        (tmp_path / home).rename(template / "template" / "python" / home)
    commit(template, "v1.1.0")
    update(project)
    after = files(project)
    assert "Write a test" in after[".agents/skills/write-a-test/SKILL.md"]
    assert "Add a query" in after[".claude/skills/add-a-query/SKILL.md"]
    assert {path: after[path] for path in own} == own
    # A conflict, as between any edits of the user and of the template.
    assert "description: Ours. Use it always.\n" in same_name.read_text("utf-8")
