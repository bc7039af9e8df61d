"""An update brings a project up to date and keeps what its user wrote."""

from __future__ import annotations

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

from tests.workshop import Workshop, copy, files

# What is written once and then belongs to the user.
WRITTEN_ONCE = ["data_model.yml", "MULTI_AGENT_PLAN.md", "migrations/versions/*.py"]
COMMENT = "# Ours: agreed with Ada on Monday."
QUERY = '''
    async def overdue(self) -> int:
        """Count what should have been done by now."""
        return await self.count(status="pending")
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


def edit_as_a_user_does(project: Path) -> dict[str, str]:
    """Write something into generated files; the texts that have to survive, by file."""
    repository = project / "src/acme/repositories/task.py"
    repository.write_text(repository.read_text("utf-8") + QUERY, "utf-8")
    model = project / "src/acme/models/category.py"
    headline = model.read_text("utf-8").splitlines()[0]
    edit(model, headline, headline.removesuffix('."""') + ', which marketing fills."""')
    readme = project / "README.md"
    readme.write_text(readme.read_text("utf-8") + "\nAsk Ada before you deploy.\n", "utf-8")
    return {
        "src/acme/repositories/task.py": QUERY,
        "src/acme/models/category.py": "which marketing fills",
        "README.md": "Ask Ada before you deploy.",
    }


def add_to_the_model(project: Path) -> None:
    """Change the data model: a field, an entity, and a comment of one's own."""
    data_model = project / "data_model.yml"
    edit(
        data_model,
        "      due_at:    {type: datetime, optional: true}\n",
        "      due_at:    {type: datetime, optional: true}\n"
        f"      {COMMENT}\n"
        "      estimate:  {type: integer, ge: 0, optional: true}\n",
    )
    with data_model.open("a", encoding="utf-8") as file:
        file.write(
            "  Reminder:\n    owned_by: User\n    fields:\n      remind_at: {type: datetime}\n"
        )


def update_from_the_file(project: Path) -> None:
    """Run the command that data_model.yml names."""
    command = [sys.executable, "-m", "copier", "update", "--defaults", "--quiet"]
    subprocess.run(
        [*command, "--data-file", "data_model.yml"], cwd=project, check=True, capture_output=True
    )


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
    update(project, **data_model)
    copy(template, tmp_path / "fresh", **data_model)
    assert rendered(project) == rendered(tmp_path / "fresh")


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
    with pytest.raises(ValueError, match=said):
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
    return {path: text for path, text in project.items() if fnmatch(path, WRITTEN_ONCE[2])}
