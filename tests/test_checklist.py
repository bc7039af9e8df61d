"""`db checklist` finds what is broken, and writes it between its markers only."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.workshop import Workshop, environment_of

STORES = {
    "sqlite": {"orm": "sqlalchemy", "database": "sqlite", "primary_key": "uuid7"},
    "mongodb": {"orm": "beanie", "database": "mongodb", "primary_key": "uuid7"},
}
PLAN = "MULTI_AGENT_PLAN.md"
CHECKLIST = "docs/checklist.md"


def edit(file: Path, before: str, after: str) -> None:
    text = file.read_text("utf-8")
    assert before in text, file
    file.write_text(text.replace(before, after, 1), "utf-8")


def add(file: Path, text: str) -> None:
    file.write_text(file.read_text("utf-8") + text, "utf-8")


def show_a_secret(project: Path) -> None:
    schemas = project / "src/acme/schemas"
    secret = "\n\nclass UserWithSecret(UserResponse):\n    password_hash: str | None\n"
    add(schemas / "user.py", secret)
    exported = "from acme.schemas.user import UserWithSecret\n\n__all__ += ['UserWithSecret']\n"
    add(schemas / "__init__.py", exported)


def write_a_password(project: Path) -> None:
    edit(project / "src/acme/errors.py", '"""', '"""postgresql://app:hunter2@db/acme ')


def outdate_the_document(project: Path) -> None:
    edit(project / "docs/schema.md", "| `title` |", "| `heading` |")


def keep_a_table(project: Path) -> None:
    [migration] = (project / "migrations/versions").glob("*.py")
    text = migration.read_text("utf-8")
    line = next(each for each in text.splitlines() if "drop_" in each and "task_tags" in each)
    migration.write_text(text.replace(f"{line}\n", ""), "utf-8")


def outside(project: Path) -> str:
    """Return the plan without what is between its markers."""
    text = (project / PLAN).read_bytes().decode()
    return re.sub(r"(<!-- (\w+) -->).*?(?=<!-- /\2 -->)", r"\1", text, flags=re.DOTALL)


# What is broken, and the only item that fails for it.
BREAKS: list[tuple[Callable[[Path], None], str]] = [
    (show_a_secret, "No response contains a secret"),
    (write_a_password, "No connection string is in the code"),
    (outdate_the_document, "docs/schema.md describes the models"),
    (keep_a_table, "Downgrades revert them"),
]


@pytest.mark.run
@pytest.mark.parametrize("store", STORES)
def test_the_checklist_finds_what_is_broken(store: str, workshop: Workshop, python: Path) -> None:
    project = workshop.copy_of("checklist", **STORES[store])
    environment = environment_of(python, project)

    def checklist(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(python), "-m", "acme", "db", "checklist", *arguments]
        return subprocess.run(
            command, cwd=project, env=environment, capture_output=True, text=True, check=False
        )

    # Characters that end a line elsewhere, the line breaks of Windows, and none at the end.
    by_hand = (project / PLAN).read_text("utf-8") + "By Ada\u2028Lovelace\x0c"
    (project / PLAN).write_bytes(by_hand.replace("\n", "\r\n").encode())
    kept_text = outside(project)
    done = checklist("--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {each["state"] for each in json.loads(done.stdout)} == {"ok"}
    assert "Not verified" not in (project / PLAN).read_text("utf-8")
    assert outside(project) == kept_text
    written = (project / CHECKLIST).read_text("utf-8")
    assert "[ ]" not in written
    for damage, _ in BREAKS:
        damage(project)
    done = checklist("--json")
    assert done.returncode == 1, done.stderr
    results: list[dict[str, Any]] = json.loads(done.stdout)
    broken = {title for _, title in BREAKS}
    assert {each["title"] for each in results if each["state"] != "ok"} == broken
    # What still holds is written as before.
    kept_lines = [line for line in written.splitlines() if not any(each in line for each in broken)]
    assert set(kept_lines) <= {*(project / CHECKLIST).read_text("utf-8").splitlines()}
    assert outside(project) == kept_text
    edit(project / PLAN, "<!-- /progress -->", "")
    kept = (project / PLAN).read_bytes(), (project / CHECKLIST).read_bytes()
    done = checklist()
    assert done.returncode == 1
    assert "needs one line `<!-- progress -->` and one line `<!-- /progress -->`" in done.stderr
    assert kept == ((project / PLAN).read_bytes(), (project / CHECKLIST).read_bytes())
