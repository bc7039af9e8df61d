"""The folder of a test session: a copy of the template and the projects rendered from it.

All processes of a session share one workshop, so everything in it is created once. A session that a
test starts, on a mutated template, takes environments from the workshop at GROUNDWORK_WORKSHOP.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import copier
import uv
import yaml
from filelock import FileLock
from jinja2 import Environment, FileSystemBytecodeCache
from jinja2.bccache import Bucket

ROOT = Path(__file__).parents[1]
TEMPLATE = ("copier.yml", "data_model", "flavours", "hooks", "template")
MODELS = ROOT / "tests" / "data_model" / "models"
# Models written for edge cases, which every kind of test uses; and models shaped like well-known
# schemas, which verify that the language can express them.
TRICKY = ["hostile", "odd", "organisation", "types", "embedded"]
REALISTIC = ["campus", "forum", "rental", "traders"]


def model(name: str) -> dict[str, Any]:
    """Return the answers in a data file of the tests."""
    answers: dict[str, Any] = yaml.safe_load((MODELS / f"{name}.yml").read_text("utf-8"))
    return answers


def copy(template: Path, project: Path, **answers: Any) -> None:
    """Run `copier copy --defaults`, without trust."""
    copier.run_copy(str(template), project, data=answers, defaults=True, unsafe=False, quiet=True)


def new_workshop() -> Path:
    """Create a folder that PostgreSQL can access when root starts it as another user."""
    folder = Path(tempfile.mkdtemp(prefix="groundwork-"))
    folder.chmod(0o711)
    return folder


class Workshop:
    """The folder of one test session."""

    def __init__(self, folder: Path, worker: str) -> None:
        self.folder = folder
        self.worker = worker
        # The folder with the environments and the compiled templates.
        self.shared = Path(os.environ.get("GROUNDWORK_WORKSHOP", folder))

    def template(self) -> Path:
        """Return a copy of the template, without the files that git ignores."""
        template = self.folder / "template"
        with self._lock(template):
            if not template.exists():
                unfinished = self.folder / "template.unfinished"
                copy_template(unfinished)
                unfinished.rename(template)
        return template

    def render(self, **answers: Any) -> Path:
        """Return the project of these answers. Tests share it: copy it before changing it."""
        key = json.dumps(answers, default=str)
        project = self.folder / "projects" / hashlib.sha256(key.encode()).hexdigest()[:16]
        template = self.template()
        with self._lock(project):
            if not project.exists():
                unfinished = project.with_suffix(".unfinished")
                copy(template, unfinished, **answers)
                unfinished.rename(project)
        return project

    def python(self, name: str, projects: Iterable[Path], *, development: bool = True) -> Path:
        """Return a Python with the dependencies of all these projects.

        The first call determines the contents of the environment with this name. Others do not
        read `projects`.
        """
        environment = self.shared / name
        python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        with self._lock(environment):
            if not (environment / "complete").exists():
                _uv("venv", "--quiet", "--clear", "--python", sys.executable, str(environment))
                wanted = {need for each in projects for need in dependencies(each, development)}
                install = ["pip", "install", "--quiet", "--python", str(python)]
                # Most processes of the tests write no bytecode: each would compile every library.
                _uv(*install, *(["--compile-bytecode"] if development else []), *sorted(wanted))
                (environment / "complete").touch()
        return python

    def shared_folder(self, name: str) -> Path:
        """Return the folder of this name, which all tests share."""
        folder = self.shared / name
        folder.mkdir(exist_ok=True)
        return folder

    def copy_of(self, name: str, **answers: Any) -> Path:
        """Return a copy of the project of these answers, in a new folder: a test may change it."""
        project = self.new_folder(name) / "project"
        return Path(shutil.copytree(self.render(**answers), project))

    def new_folder(self, name: str) -> Path:
        """Create a folder for one test."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))

    def _lock(self, path: Path) -> FileLock:
        path.parent.mkdir(exist_ok=True)
        return FileLock(path.with_suffix(".lock"))


class CompiledTemplates(FileSystemBytecodeCache):
    """Identify a template by its name and text, independently of its location."""

    def get_bucket(
        self, environment: Environment, name: str, filename: str | None, source: str
    ) -> Bucket:
        return super().get_bucket(environment, name, _options(environment), source)


def compiled_once(compile: Callable[..., Any]) -> Callable[..., Any]:
    """Return `Environment.compile` with a cache of texts that are not the text of a file."""
    compiled: dict[tuple[str, str], Any] = {}

    def compile_once(environment: Environment, source: Any, *args: Any, **options: Any) -> Any:
        if args or options or not isinstance(source, str):
            return compile(environment, source, *args, **options)
        key = source, _options(environment)
        if key in compiled:
            environment.preprocess(source)  # an extension of Copier notes that a text begins
        else:
            compiled[key] = compile(environment, source)
        return compiled[key]

    return compile_once


def _options(environment: Environment) -> str:
    """Return the options that the code of a compiled template depends on, and that differ here."""
    return f"{environment.trim_blocks} {environment.lstrip_blocks} {environment.undefined}"


def copy_template(destination: Path) -> None:
    """Copy the files of the template, committed or not."""
    _copy_files(destination, TEMPLATE)


def copy_repository(destination: Path) -> None:
    """Copy this repository, with its history and with what is not committed."""
    subprocess.run(["git", "clone", "-q", "--no-checkout", str(ROOT), str(destination)], check=True)
    _copy_files(destination, ())
    subprocess.run(["git", "add", "--all"], cwd=destination, check=True)


def _copy_files(destination: Path, paths: Sequence[str]) -> None:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *paths]
    listed = subprocess.check_output(command, cwd=ROOT)
    for name in filter(None, listed.decode().split("\0")):
        source, target = ROOT / name, destination / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)


def environment_of(python: Path, project: Path) -> dict[str, str]:
    """Return a clean environment, so that no setting of the developer affects a project.

    Its home and its temporary files are in folders beside it, `home` and `tmp`, which are created.
    """
    home, temporary = project.with_name("home"), project.with_name("tmp")
    for folder in (home, temporary):
        folder.mkdir(exist_ok=True)
    return {
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(project / "src"),
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "LANG": "C.UTF-8",
    }


def dependencies(project: Path, development: bool) -> list[str]:
    """Return the runtime dependencies of a project, and optionally those for development."""
    content = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))
    needed: list[str] = content["project"]["dependencies"]
    return needed + content["dependency-groups"]["dev"] if development else needed


def files(project: Path) -> dict[str, str]:
    """Return the text of every file of a project by its path."""
    return {
        path.relative_to(project).as_posix(): path.read_text("utf-8")
        for path in sorted(project.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(project).parts
    }


def _uv(*arguments: str) -> None:
    subprocess.run([uv.find_uv_bin(), *arguments], check=True)
