"""Facts that stand in several places agree, and no file says what no file may say."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import FileSystemLoader
from jinja2.sandbox import SandboxedEnvironment

from tests import hygiene, oracle
from tests.workshop import ROOT, Workshop, files

pytestmark = pytest.mark.smoke

INSTALL = "python3 -m pip install -q --target .uv uv"
SERVERS = ".ci/servers"
WHOLE_SUITE = ".uv/bin/uv run pytest -n auto"


def tracked() -> list[str]:
    """The files of the repository that exist, committed or not."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.check_output(command, cwd=ROOT).decode().split("\0")
    return sorted(name for name in listed if name and (ROOT / name).is_file())


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


@pytest.fixture(scope="module")
def questions() -> dict[str, Any]:
    """copier.yml."""
    content: dict[str, Any] = yaml.safe_load(text("copier.yml"))
    return content


@pytest.fixture(scope="module")
def project(workshop: Workshop) -> dict[str, str]:
    """The files of a project with everything."""
    return files(workshop.render())


# ---- Facts that stand in several places


def test_the_oracle_knows_every_choice(questions: dict[str, Any]) -> None:
    offered = {
        name: question["choices"]
        for name, question in questions.items()
        if isinstance(question, dict) and "choices" in question
    }
    values = {
        name: {choice["value"] if isinstance(choice, dict) else choice for choice in choices}
        for name, choices in (
            (name, found.values() if isinstance(found, dict) else found)
            for name, found in offered.items()
        )
    }
    assert values == {name: {*oracle.CHOICES[name]} for name in values}
    assert {*oracle.CHOICES} - {*values} == {"api"}


def test_the_readme_names_every_choice() -> None:
    readme = text("README.md")
    for name, choices in oracle.CHOICES.items():
        assert f"`{name}`" in readme, name
        assert [word for word in choices if name != "api" and f"`{word}`" not in readme] == []


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_documents_run_the_whole_suite_as_ci_does(document: str) -> None:
    assert f"\n{INSTALL} && {SERVERS} && {WHOLE_SUITE}\n" in text(document)
    assert f"\n{INSTALL}\n{SERVERS}\n" in text(".ci/run")
    assert text(".ci/run").endswith(f"\n{WHOLE_SUITE}\n")


def test_documents_name_commands_that_ci_runs() -> None:
    run = re.findall(r"^.uv/bin/uv run (\S+)", text(".ci/run"), re.MULTILINE)
    for document in ("README.md", "CONTRIBUTING.md"):
        named = re.findall(r"uv run (?:--\S+ )*(pytest|ruff|mypy)", text(document))
        assert {*named} <= {*run}, document


def test_ci_is_the_script() -> None:
    jobs = yaml.safe_load(text(".github/workflows/ci.yml"))["jobs"]
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert commands == [".ci/run"]
    assert all((ROOT / script).stat().st_mode & 0o111 for script in (".ci/run", SERVERS))


def test_the_servers_of_projects_are_installed_here(workshop: Workshop) -> None:
    """What a project's workflow installs, the tests of the template need, too."""
    for triple in {triple["database"]: triple for triple in oracle.TRIPLES}.values():
        workflow = workshop.render(**triple) / ".github" / "workflows" / "ci.yml"
        for packages in re.findall(r"--no-install-recommends (.*)", workflow.read_text("utf-8")):
            assert [name for name in packages.split() if name not in text(SERVERS)] == []


def test_the_oldest_python_is_one(project: dict[str, str]) -> None:
    mine = tomllib.loads(text("pyproject.toml"))["project"]["requires-python"]
    oldest = mine.removeprefix(">=")
    [job] = yaml.safe_load(text(".github/workflows/ci.yml"))["jobs"].values()
    assert min(job["strategy"]["matrix"]["python"], key=_version) == oldest
    assert tomllib.loads(project["pyproject.toml"])["project"]["requires-python"] == mine
    for document in ("README.md", "CONTRIBUTING.md", ".ci/run"):
        assert {*re.findall(r"Python (\d\.\d+)", text(document))} <= {oldest}, document


def test_the_oldest_copier_is_one(questions: dict[str, Any]) -> None:
    oldest = questions["_min_copier_version"]
    dev = tomllib.loads(text("pyproject.toml"))["dependency-groups"]["dev"]
    assert f"copier>={oldest},<10" in dev


def test_the_lint_rules_of_projects_are_rules_here(project: dict[str, str]) -> None:
    """But for D1: docstrings are for what a name does not say."""
    theirs = tomllib.loads(project["pyproject.toml"])["tool"]["ruff"]
    mine = tomllib.loads(text("pyproject.toml"))["tool"]["ruff"]
    assert {*theirs["lint"]["select"]} - {"D1"} <= {*mine["lint"]["select"]}
    assert theirs["line-length"] == mine["line-length"]


def test_a_package_cannot_be_called_like_a_module_of_python() -> None:
    """`src` stands before the standard library where a project is run from its folder."""
    loader = FileSystemLoader(ROOT)
    extensions = ["jinja2_ansible_filters.AnsibleCoreFiltersExtension"]
    jinja = SandboxedEnvironment(loader=loader, extensions=extensions)
    validator = jinja.get_template("data_model/validate_package.jinja")
    names = sorted(name for name in sys.stdlib_module_names if not name.startswith("_"))
    assert [name for name in names if not validator.render(package=name).strip()] == []


def test_a_package_cannot_be_called_like_what_it_depends_on(
    project: dict[str, str], workshop: Workshop
) -> None:
    """The names under which dependencies are imported, as far as imports tell."""
    loader = FileSystemLoader(ROOT)
    extensions = ["jinja2_ansible_filters.AnsibleCoreFiltersExtension"]
    jinja = SandboxedEnvironment(loader=loader, extensions=extensions)
    validator = jinja.get_template("data_model/validate_package.jinja")
    others = ({"database": "sqlite"}, {"sessions": "both"}, {"orm": "sqlmodel"})
    sources = [*project.items()]
    for answers in others:
        sources += files(workshop.render(**answers)).items()
    imported = {
        name
        for path, source in sources
        if path.endswith(".py")
        for name in re.findall(r"^ *(?:from|import) (\w+)", source, re.MULTILINE)
    }
    assert [
        name for name in sorted(imported - {"acme"}) if not validator.render(package=name).strip()
    ] == []


# ---- What no file may say


def test_no_file_tells_of_the_machine_or_of_the_work() -> None:
    assert [leak for name in tracked() for leak in hygiene.leaks(name, text(name))] == []


def test_no_file_is_untidy() -> None:
    assert [
        fault
        for name in tracked()
        if not name.startswith(("template/", "flavours/", "tests/data_model/models/"))
        for fault in hygiene.faults(name, text(name))
        if "has a tab" not in fault or name.endswith(".py")
    ] == []


def test_no_lock_file_is_tracked() -> None:
    """It would hold the host from which packages came."""
    assert [name for name in tracked() if Path(name).name == "uv.lock"] == []


def test_projects_know_nothing_of_these_tests(project: dict[str, str]) -> None:
    modules = {path.stem for path in (ROOT / "tests").rglob("*.py")} - {"__init__", "conftest"}
    words = {f"tests.{name}" for name in modules} | {"workshop", "data_model/models", ".ci/run"}
    words -= {f"tests.{Path(path).stem}" for path in project if path.startswith("tests/")}
    for path, content in project.items():
        if path != ".copier-answers.yml":
            assert [word for word in words if word in content] == [], path


# ---- The layout of the template


def test_paths_work_on_every_system() -> None:
    """Windows knows no quotes, pipes and colons in a path, and its paths are short."""
    paths = [name for name in tracked() if name.startswith(("template/", "flavours/"))]
    assert [path for path in paths if re.search(r"[\"'|:<>*?\\]", path)] == []
    assert [path for path in paths if len(path) > 200] == []


def test_a_condition_on_a_path_is_one_boolean(questions: dict[str, Any]) -> None:
    conditions = {
        condition.strip()
        for name in tracked()
        for condition in re.findall(r"\{% if (.*?) ?%\}", name)
    }
    assert {name for name in conditions if not name.isidentifier()} == set()
    assert {name for name in conditions if questions[name]["type"] != "bool"} == set()


def test_no_template_asks_which_orm_it_is_for() -> None:
    """What differs is a folder of its own; only a path may hold the name."""
    asks = re.compile(r"\borm\s*(?:==|!=|in\b|is\b)|in\s+orm\b")
    assert [
        f"{name}:{number}"
        for name in tracked()
        if name.startswith(("template/", "flavours/", "data_model/"))
        and not name.startswith("data_model/resolve")
        and not name.startswith("data_model/validate")
        for number, line in enumerate(text(name).splitlines(), 1)
        if "{" in line and asks.search(line)
    ] == []


# The conditions on paths that no project of an ORM fulfils.
NEVER = {
    "sqlalchemy": {"has_documents"},
    "sqlmodel": {"has_documents"},
    "beanie": {"has_tables", "has_sync", "has_extensions", "on_neon"},
}


def test_flavours_have_the_same_files() -> None:
    """A file of one database, its siblings have, too; a file asked of an ORM, every ORM has."""
    sources = [name for name in tracked() if name.startswith(("template/", "flavours/"))]
    for orm in oracle.SUPPORTED:
        asked = {
            name
            for source in sources
            if not NEVER[orm] & {*re.findall(r"\{% if (\w+) %\}", source)}
            for name in re.findall(r"'flavours/' ~ orm ~ '/([^']+)'", text(source))
        }
        names_of_orm = {path.name for path in (ROOT / "flavours" / orm).glob("*.jinja")}
        assert asked - names_of_orm == set(), orm
        # What a family shares is in the folder of its first ORM, beside its databases.
        if not _databases(ROOT / "flavours" / orm):
            assert names_of_orm - asked == set(), orm
    for siblings in map(_databases, _folders(ROOT / "flavours")):
        names = {folder: {path.name for path in folder.glob("*.jinja")} for folder in siblings}
        assert len({frozenset(found) for found in names.values()}) <= 1, names


def test_every_template_is_used() -> None:
    """A file of the language or of a flavour that nothing names is dead."""
    sources = {
        name: text(name)
        for name in tracked()
        if name.startswith(("template/", "flavours/", "data_model/")) or name == "copier.yml"
    }
    for name in sources:
        if name.startswith(("flavours/", "data_model/")) and name.endswith((".jinja", ".mako")):
            # Names are put together from parts, so the last one has to do.
            used = any(
                Path(name).name in source for other, source in sources.items() if other != name
            )
            assert used, name


def _folders(parent: Path) -> list[Path]:
    """Those of the ORMs or databases; servers are nobody's own."""
    others = {"servers", "tests"}
    return [path for path in parent.iterdir() if path.is_dir() and path.name not in others]


def _databases(orm: Path) -> list[Path]:
    return [folder for folder in _folders(orm) if folder.name in oracle.DATABASES]


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))
