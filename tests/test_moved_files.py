"""The update to 0.2.0, in which files moved, merges the user's edits into the new places."""

from __future__ import annotations

import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from copier.errors import UnsafeTemplateError

from tests.test_update import assert_no_conflict, commit, git, rendered, update
from tests.workshop import ROOT, TEMPLATE, Workshop, copy, files, model

Edit = Callable[[str], str]

# A file that the layout before 0.2.0 had.
OLD_FILE = "template/python/src/{{ package }}/surroundings.py.jinja"

ANSWERS = {
    "sqlalchemy": {"sessions": "both"},
    "beanie": {"orm": "beanie", "primary_key": "objectid"},
}

OWN_FILE = '''"""A report of our own."""

from acme import driver, schemas
from acme.database import Database, translated_errors
from acme.driver import parse_url
from acme.faking import (
    Sample,
    moment,
)

PATCHED = "acme.driver.create"
'''
OWN_FILE_NOW = '''"""A report of our own."""

from acme.database import driver
from acme import schemas
from acme.database import Database
from acme.database.sessions import translated_errors
from acme.settings import parse_url
from acme.development.fake_data import (
    Sample,
    random_timestamp as moment,
)

PATCHED = "acme.database.driver.create"
'''

# Imports of moved modules, in a file of the user's: what it was, and what it is.
IMPORTS = {
    "a comment": (
        "from acme.driver import create, parse_url  # noqa: F401\n",
        "from acme.database.driver import create\n"
        "from acme.settings import parse_url  # noqa: F401\n",
    ),
    "brackets with comments": (
        "from acme.fields import (\n    Text,  # the (old) one\n)\n",
        "from acme.models.field_types import (\n    Text,  # the (old) one\n)\n",
    ),
    "relative": ("from .driver import create\n", "from acme.database.driver import create\n"),
    "in one line": (
        "def f(): from acme.faking import moment; return moment\n",
        "def f(): from acme.development.fake_data import random_timestamp as moment; "
        "return moment\n",
    ),
    "a plain import": (
        "import acme.driver\n\nacme.driver.create()\n",
        "import acme.database.driver\n\nacme.database.driver.create()\n",
    ),
    "a patched name": (
        'PATCHED = "acme.database.translated_errors"\n',
        'PATCHED = "acme.database.sessions.translated_errors"\n',
    ),
    "a name whose import the template changed": ("seen: Moment\n", "seen: UtcDateTime\n"),
    "a star": ("from acme.fields import *\n", "from acme.models.field_types import *\n"),
    # What has not moved, or only looks like a module.
    "the new layout": ("from acme.database import Database, driver\n",) * 2,
    "an attribute": ("acme = {}\nacme.values()\n",) * 2,
    "a module of the user's": ("from acme.validators import is_slug\n",) * 2,
    "other tests": ("from tests.world import World\n",) * 2,
    "no Python": ("from acme.driver import (\n",) * 2,
}


def append(name: str) -> Edit:
    """An edit that adds a function at the end."""
    return lambda text: f'{text}\n\ndef {name}() -> None:\n    """Ours."""\n'


def replace(old: str, new: str) -> Edit:
    """An edit inside a file."""

    def edit(text: str) -> str:
        assert text.count(old) == 1, old
        return text.replace(old, new)

    return edit


# Where a user edited a file, where it is now, and what the edit was.
EDITS: Mapping[str, tuple[str, Edit]] = {
    "src/acme/database.py": ("src/acme/database/sessions.py", append("reconnect")),
    "src/acme/driver.py": ("src/acme/database/driver.py", append("ping")),
    "src/acme/fields.py": ("src/acme/models/field_types.py", append("slug")),
    "src/acme/comparing.py": ("src/acme/migrating/comparison.py", append("is_new")),
    "src/acme/catalog.py": ("src/acme/migrating/introspection.py", append("views")),
    "src/acme/faking.py": (
        "src/acme/development/fake_data.py",
        replace("ATTEMPTS = 1000\n", "ATTEMPTS = 50\nSLUGS = 7\n"),
    ),
    "src/acme/dev.py": (
        "src/acme/development/environment.py",
        replace('FOLDER = Path(".dev")\n', 'FOLDER = Path(".local")\n'),
    ),
    "src/acme/local_server.py": (
        "src/acme/development/local_server.py",
        replace("START_SECONDS = 30.0\n", "START_SECONDS = 90.0\n"),
    ),
    "src/acme/sample_data.py": (
        "src/acme/development/sample_data.py",
        replace("from faker import Faker\n", "import math\n\nfrom faker import Faker\n"),
    ),
    "src/acme/api/serving.py": (
        "src/acme/development/serving.py",
        replace('HOST = "127.0.0.1"\n', 'HOST = "0.0.0.0"\n'),
    ),
    "tests/world.py": ("tests/data_layer/world.py", append("crowd")),
    "tests/test_schemas.py": ("tests/data_layer/test_schemas.py", append("test_ours")),
    "src/acme/errors.py": ("src/acme/errors.py", append("describe")),
}


@pytest.fixture(scope="module")
def templates(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """The template before 0.2.0, which becomes the template of now by `release`."""
    moving = git(ROOT, "log", "-1", "--format=%H", "--", OLD_FILE).strip()
    assert moving, "This test needs the history of the repository: clone it whole."

    def template(name: str, *, tagged: bool) -> Path:
        folder = tmp_path_factory.mktemp(name) / "template"
        subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True, capture_output=True)
        git(folder, "checkout", "--quiet", "-B", "main", f"{moving}^")
        if tagged:
            git(folder, "tag", "v0.1.0")
        return folder

    return template


def release(template: Path, workshop: Workshop, *, tagged: bool = True) -> None:
    """Commit the template as it is in the working tree."""
    for name in TEMPLATE:
        if (template / name).is_dir():
            shutil.rmtree(template / name)
    shutil.copytree(workshop.template(), template, dirs_exist_ok=True)
    commit(template, "v0.2.0" if tagged else None)


def edit_all(project: Path) -> None:
    """Edit the files that moved, and add one."""
    for path, (_, edit) in EDITS.items():
        file = project / path
        file.write_text(edit(file.read_text("utf-8")), "utf-8")
    (project / "src/acme/reports.py").write_text(OWN_FILE, "utf-8")
    commit(project)


def update_with_trust(project: Path) -> str:
    """Run `copier update --trust`, and return what it prints."""
    command = [sys.executable, "-m", "copier", "update", "--defaults", "--trust"]
    done = subprocess.run(command, cwd=project, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.parametrize(("orm", "tagged"), [("sqlalchemy", True), ("beanie", False)])
def test_edits_of_moved_files_are_merged_into_the_new_places(
    orm: str,
    tagged: bool,
    templates: Callable[..., Path],
    workshop: Workshop,
    tmp_path: Path,
) -> None:
    template, project = templates(orm, tagged=tagged), tmp_path / "project"
    copy(template, project, **ANSWERS[orm])
    edit_all(project)
    release(template, workshop, tagged=tagged)

    # Only this update asks for trust, and does nothing without it.
    with pytest.raises(UnsafeTemplateError, match="migrations"):
        update(project)
    assert git(project, "status", "--porcelain") == ""

    said = update_with_trust(project)
    assert "It crosses 0.2.0, in which files moved" in said
    assert "Merged your edits into: " in said
    assert_no_conflict(project)
    # The starter has changed; the project keeps its data model.
    entities = yaml.safe_load((project / "data_model.yml").read_text("utf-8"))["entities"]
    copy(template, tmp_path / "fresh", **ANSWERS[orm], entities=entities)
    expected = rendered(tmp_path / "fresh")
    for path, edit in EDITS.values():
        expected[path] = edit(expected[path])
    assert rendered(project) == expected | {"src/acme/reports.py": OWN_FILE_NOW}
    for text in files(project).values():
        assert "acme.operations" not in text

    commit(project)
    update(project)
    assert git(project, "status", "--porcelain") == ""


def test_conflicts_deleted_files_and_files_moved_by_hand_are_reported(
    templates: Callable[..., Path], workshop: Workshop, tmp_path: Path
) -> None:
    """The project is in a folder of a repository."""
    template, project = templates("hand", tagged=True), tmp_path / "repository" / "project"
    copy(template, project, database="sqlite")
    commit(tmp_path / "repository")
    driver = project / "src/acme/driver.py"
    driver.write_text('"""Ours."""\n' + driver.read_text("utf-8").partition("\n")[2], "utf-8")
    (project / "tests/test_links.py").unlink()
    moved = project / "src/acme/repositories/pagination.py"
    (project / "src/acme/pagination.py").rename(moved)
    moved.write_text(append("offset")(moved.read_text("utf-8")), "utf-8")
    commit(tmp_path / "repository")
    release(template, workshop)
    said = update_with_trust(project)

    assert "Resolve the conflicts in: src/acme/database/driver.py." in said
    unmerged = git(project, "diff", "--name-only", "--diff-filter=U").splitlines()
    assert unmerged == ["project/src/acme/database/driver.py"]
    conflicted = (project / "src/acme/database/driver.py").read_text("utf-8")
    assert '"""Ours."""' in conflicted.partition("=======")[0]
    assert "tests/test_links.py is not in this project" in said
    assert not (project / "tests/data_layer/test_links.py").exists()
    copy(template, tmp_path / "fresh", database="sqlite")
    fresh = (tmp_path / "fresh/src/acme/repositories/pagination.py").read_text("utf-8")
    assert moved.read_text("utf-8") == append("offset")(fresh)


def test_an_update_of_a_dirty_working_tree_changes_nothing(
    templates: Callable[..., Path], workshop: Workshop, tmp_path: Path
) -> None:
    template, project = templates("dirty", tagged=True), tmp_path / "project"
    copy(template, project, starter="blank", database="sqlite")
    commit(project)
    release(template, workshop)
    (project / "notes.txt").write_text("mine", "utf-8")
    command = [sys.executable, "-m", "copier", "update", "--defaults", "--trust"]
    done = subprocess.run(command, cwd=project, check=False, capture_output=True, text=True)
    assert "Please commit or stash your local changes and retry" in done.stderr
    assert git(project, "status", "--porcelain").splitlines() == ["?? notes.txt"]


@pytest.fixture(scope="module")
def hook() -> dict[str, Any]:
    """The names of the script."""
    return runpy.run_path(str(ROOT / "hooks" / "v0_2_0.py"))


@pytest.mark.parametrize(("before", "after"), IMPORTS.values(), ids=IMPORTS.keys())
def test_imports_of_moved_modules_are_renamed(
    before: str, after: str, hook: dict[str, Any]
) -> None:
    moves = {f"src/acme/{old}.py": f"src/acme/{new}.py" for old, new in hook["MODULES"].items()}
    # Only documents have validators: here they are the user's own.
    del moves["src/acme/validators.py"]
    moves["tests/world.py"] = "tests/data_layer/world.py"
    renamed = hook["Renamed"](moves, "acme", "acme", "beanie")
    assert renamed.in_code(before.encode(), "src/acme/own.py").decode() == after
    windows = before.replace("\n", "\r\n").encode()
    assert renamed.in_code(windows, "src/acme/own.py").decode().splitlines() == after.splitlines()


def test_code_of_the_new_layout_stays_as_it_is(hook: dict[str, Any], workshop: Workshop) -> None:
    moves = {f"src/acme/{old}.py": f"src/acme/{new}.py" for old, new in hook["MODULES"].items()}
    moves |= {f"tests/{old}.py": f"tests/{new}.py" for old, new in hook["TESTS"].items()}
    for answers in ({"sessions": "both"}, {"orm": "beanie", "primary_key": "objectid"}):
        renamed = hook["Renamed"](moves, "acme", "acme", answers.get("orm", "sqlalchemy"))
        for path, text in files(workshop.render(**answers)).items():
            if path.endswith(".py"):
                assert renamed.in_code(text.encode(), path) == text.encode(), path


@pytest.mark.parametrize(
    ("mine", "base", "template", "merged"),
    [
        ("a\nb\nmine\n", "a\nb\n", "a\nB\n", "a\nB\nmine\n"),
        ("mine\na\nb\n", "a\nb\n", "A\nb\n", "mine\nA\nb\n"),
        ("a\nmine\nc\n", "a\nb\nc\n", "A\nb\nC\n", "A\nmine\nC\n"),
        ("a\r\nb\r\nmine\r\n", "a\nb\n", "A\nb\n", "A\r\nb\r\nmine\r\n"),
        (
            "x\nMy\n=======\nold!\n",
            "x\nT\n=======\nold\n",
            "x\nT\n---\nold\n",
            "x\nMy\n---\nold!\n",
        ),
        ("a\nmine\n", "a\nb\n", "a\ntheirs\n", None),
        ("a\nb\nmine\n", "a\nb\n", "a\nb\ntheirs\n", None),
    ],
)
def test_changes_of_different_lines_are_no_conflict(
    mine: str, base: str, template: str, merged: str | None, hook: dict[str, Any]
) -> None:
    content, has_conflict = hook["merge"](mine.encode(), base.encode(), template.encode())
    assert has_conflict == (merged is None)
    if merged is None:
        assert b"mine" in content
        assert b"theirs" in content
    else:
        assert content.decode() == merged


def test_the_moved_files_are_those_of_the_template(
    hook: dict[str, Any], workshop: Workshop
) -> None:
    """Every new place of the script is rendered for some project."""
    projects = [
        workshop.render(sessions="both", database="neon"),
        workshop.render(**model("forum") | {"package": "acme", "database": "postgresql"}),
        workshop.render(orm="beanie", primary_key="objectid"),
        workshop.render(sessions="both", database="mysql", primary_key="integer"),
    ]
    paths = {path for project in projects for path in files(project)}
    assert {f"src/acme/{new}.py" for new in hook["MODULES"].values()} - paths == set()
    assert {f"tests/{new}.py" for new in hook["TESTS"].values()} - paths == set()


def test_a_migration_of_the_template_names_a_script_that_exists() -> None:
    questions = yaml.safe_load((ROOT / "copier.yml").read_text("utf-8"))
    [script] = {str(step["command"][1]) for step in questions["_migrations"]}
    assert "'hooks' / 'v0_2_0.py'" in script
    assert (ROOT / "hooks" / "v0_2_0.py").exists()
