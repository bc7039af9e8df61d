"""Facts stated in several places agree, and no file contains what is forbidden in every file."""

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
    """Return the existing files of the repository, committed or not."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.check_output(command, cwd=ROOT).decode().split("\0")
    return sorted(name for name in listed if name and (ROOT / name).is_file())


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


@pytest.fixture(scope="module")
def questions() -> dict[str, Any]:
    """The content of copier.yml."""
    content: dict[str, Any] = yaml.safe_load(text("copier.yml"))
    return content


@pytest.fixture(scope="module")
def project(workshop: Workshop) -> dict[str, str]:
    """The files of the default project."""
    return files(workshop.render())


# ---- Facts stated in several places


def test_the_oracle_lists_every_choice(questions: dict[str, Any]) -> None:
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


def test_prompts_fit_into_80_columns(questions: dict[str, Any]) -> None:
    """With the mark of a choice and the reason why it is unavailable, for any ORM."""
    jinja = SandboxedEnvironment()
    for name, question in questions.items():
        if name.startswith("_") or question.get("when") is False or question.get("ask") is False:
            continue
        assert len(question["help"]) <= 72, name
        for title, choice in question.get("choices", {}).items():
            validator = choice.get("validator", "") if isinstance(choice, dict) else ""
            for orm in oracle.CHOICES["orm"]:
                reason = jinja.from_string(validator).render(orm=orm).strip()
                assert len(f"{title} ({reason})" if reason else title) <= 72, (title, reason)


def test_the_readme_lists_every_choice() -> None:
    readme = text("README.md")
    for name, choices in oracle.CHOICES.items():
        assert f"`{name}`" in readme, name
        assert [word for word in choices if name != "api" and f"`{word}`" not in readme] == []


def test_the_readme_links_the_comparison_of_the_orms() -> None:
    assert "](docs/choosing.md)" in text("README.md")
    compared = text("docs/choosing.md")
    for orm in oracle.SUPPORTED:
        assert f"\n| `{orm}` |" in compared, orm
    # Measured on the stand-ins, whose times are not those of the native engine.
    assert "wasm engine" in compared
    assert "archived" in compared


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_the_documentation_runs_the_whole_suite_like_ci(document: str) -> None:
    assert f"\n{INSTALL} && {SERVERS} && {WHOLE_SUITE}\n" in text(document)
    assert f"\n{INSTALL}\n{SERVERS}\n" in text(".ci/run")
    assert text(".ci/run").endswith(f"\n{WHOLE_SUITE}\n")


def test_the_documentation_mentions_commands_that_ci_runs() -> None:
    run = re.findall(r"^.uv/bin/uv run (\S+)", text(".ci/run"), re.MULTILINE)
    for document in ("README.md", "CONTRIBUTING.md"):
        named = re.findall(r"uv run (?:--\S+ )*(pytest|ruff|mypy)", text(document))
        assert {*named} <= {*run}, document


def test_ci_only_runs_the_script() -> None:
    jobs = yaml.safe_load(text(".github/workflows/ci.yml"))["jobs"]
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert commands == [".ci/run"]
    assert all((ROOT / script).stat().st_mode & 0o111 for script in (".ci/run", SERVERS))


def test_the_servers_of_projects_are_installed_for_these_tests(workshop: Workshop) -> None:
    """Check that the tests of the template install what the workflow of a project installs."""
    for triple in {triple["database"]: triple for triple in oracle.TRIPLES}.values():
        workflow = workshop.render(**triple) / ".github" / "workflows" / "ci.yml"
        for packages in re.findall(r"--no-install-recommends (.*)", workflow.read_text("utf-8")):
            assert [name for name in packages.split() if name not in text(SERVERS)] == []


def test_the_oldest_python_is_the_same_everywhere(project: dict[str, str]) -> None:
    mine = tomllib.loads(text("pyproject.toml"))["project"]["requires-python"]
    oldest = mine.removeprefix(">=")
    [job] = yaml.safe_load(text(".github/workflows/ci.yml"))["jobs"].values()
    assert min(job["strategy"]["matrix"]["python"], key=_version) == oldest
    assert tomllib.loads(project["pyproject.toml"])["project"]["requires-python"] == mine
    for document in ("README.md", "CONTRIBUTING.md", ".ci/run"):
        assert {*re.findall(r"Python (\d\.\d+)", text(document))} <= {oldest}, document


def test_the_oldest_copier_is_the_same_everywhere(questions: dict[str, Any]) -> None:
    oldest = questions["_min_copier_version"]
    dev = tomllib.loads(text("pyproject.toml"))["dependency-groups"]["dev"]
    assert f"copier>={oldest},<10" in dev


def test_the_lint_rules_of_projects_also_apply_here(project: dict[str, str]) -> None:
    """Except D1: here, a docstring is only needed where a name is not enough."""
    theirs = tomllib.loads(project["pyproject.toml"])["tool"]["ruff"]
    mine = tomllib.loads(text("pyproject.toml"))["tool"]["ruff"]
    assert {*theirs["lint"]["select"]} - {"D1"} <= {*mine["lint"]["select"]}
    assert theirs["line-length"] == mine["line-length"]


def test_every_document_names_the_same_steps_of_an_update(project: dict[str, str]) -> None:
    """They begin with the commit that Copier asks for."""
    steps = [
        'git add --all && git commit -m "Change the data model"',
        "uvx copier update --data-file data_model.yml --defaults",
        'uv run acme db revision -m "what changed"',
    ]
    readme = (ROOT / "README.md").read_text("utf-8")
    header = project["data_model.yml"].replace("#     ", "")
    for text in (readme, project["README.md"], header):
        assert "\n" + "\n".join(steps) + "\n" in text


def test_the_answers_keep_the_key_of_an_index(workshop: Workshop) -> None:
    """YAML 1.1 reads it as true, and texts may contain what looks like such a key."""
    why = "Lists, which is " + "x" * 50 + " true: with a colon, and true: again."
    entities = {
        "Task": {
            "fields": {"title": {"type": "string", "max_length": 100}},
            "indexes": [{True: ["title"], "why": why}, {"why": "Other.", True: ["title", "id"]}],
        }
    }
    text = (workshop.render(entities=entities) / ".copier-answers.yml").read_text("utf-8")
    assert "\n        -   on:\n" in text
    assert "\n            on:\n" in text
    assert yaml.safe_load(text)["entities"] == entities


def test_a_package_cannot_have_the_name_of_a_standard_module() -> None:
    """`src` precedes the standard library when a project runs from its folder."""
    loader = FileSystemLoader(ROOT)
    extensions = ["jinja2_ansible_filters.AnsibleCoreFiltersExtension"]
    jinja = SandboxedEnvironment(loader=loader, extensions=extensions)
    validator = jinja.get_template("data_model/validate_package.jinja")
    names = sorted(name for name in sys.stdlib_module_names if not name.startswith("_"))
    assert [name for name in names if not validator.render(package=name).strip()] == []


def test_a_package_cannot_have_the_name_of_a_dependency(
    project: dict[str, str], workshop: Workshop
) -> None:
    """Check the import names of dependencies, found in the imports of projects."""
    loader = FileSystemLoader(ROOT)
    extensions = ["jinja2_ansible_filters.AnsibleCoreFiltersExtension"]
    jinja = SandboxedEnvironment(loader=loader, extensions=extensions)
    validator = jinja.get_template("data_model/validate_package.jinja")
    others: tuple[dict[str, str], ...] = (
        {"database": "sqlite"},
        {"sessions": "both"},
        {"orm": "sqlmodel"},
        {"orm": "prisma"},
    )
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


# ---- What is forbidden in every file


def test_no_file_reveals_the_machine_or_the_work() -> None:
    assert [leak for name in tracked() for leak in hygiene.leaks(name, text(name))] == []


def test_no_file_is_untidy() -> None:
    assert [
        fault
        for name in tracked()
        if not name.startswith(("template/", "flavours/", "tests/data_model/models/"))
        for fault in hygiene.faults(name, text(name))
        if "has a tab" not in fault or name.endswith(".py")
    ] == []


def test_texts_are_plain_english() -> None:
    """The models of the tests are data, not texts."""
    assert [
        place
        for name in tracked()
        if not name.startswith("tests/data_model/models/")
        for place in hygiene.phrases(name, text(name))
    ] == []


def test_the_list_of_phrases_finds_them() -> None:
    # In parts, for this file is searched, too.
    parts = (("who", "ever"), ("made", " up"), ("a", "new"), ("some", "body"), ("re", "fuses"))
    for phrase in map("".join, parts):
        assert hygiene.phrases("a.md", phrase), phrase
    assert hygiene.phrases("a.md", "The request is rejected: reload the record.") == []


def test_no_lock_file_is_tracked() -> None:
    """A lock file contains the host of the package registry."""
    assert [name for name in tracked() if Path(name).name == "uv.lock"] == []


def test_projects_do_not_mention_these_tests(project: dict[str, str]) -> None:
    modules = {path.stem for path in (ROOT / "tests").rglob("*.py")} - {"__init__", "conftest"}
    words = {f"tests.{name}" for name in modules} | {"workshop", "data_model/models", ".ci/run"}
    words -= {f"tests.{Path(path).stem}" for path in project if path.startswith("tests/")}
    for path, content in project.items():
        if path != ".copier-answers.yml":
            assert [word for word in words if word in content] == [], path


# ---- The layout of the template


def test_paths_work_on_every_system() -> None:
    """Windows forbids quotes, pipes and colons in paths, and limits their length."""
    paths = [name for name in tracked() if name.startswith(("template/", "flavours/"))]
    assert [path for path in paths if re.search(r"[\"'|:<>*?\\]", path)] == []
    assert [path for path in paths if len(path) > 200] == []


def test_a_condition_in_a_path_is_one_boolean(questions: dict[str, Any]) -> None:
    conditions = {
        condition.strip()
        for name in tracked()
        for condition in re.findall(r"\{% if (.*?) ?%\}", name)
    }
    assert {name for name in conditions if not name.isidentifier()} == set()
    assert {name for name in conditions if questions[name]["type"] != "bool"} == set()


def test_no_template_compares_the_orm() -> None:
    """Check that differences are in the folder of an ORM, and its name only in paths."""
    comparison = re.compile(r"\borm\s*(?:==|!=|in\b|is\b)|in\s+orm\b")
    assert [
        f"{name}:{number}"
        for name in tracked()
        if name.startswith(("template/", "flavours/", "data_model/"))
        and not name.startswith("data_model/resolve")
        and not name.startswith("data_model/validate")
        for number, line in enumerate(text(name).splitlines(), 1)
        if "{" in line and comparison.search(line)
    ] == []


# The conditions in paths that are false for every project of an ORM.
NEVER = {
    "sqlalchemy": {"has_documents", "has_prisma"},
    "sqlmodel": {"has_documents", "has_prisma"},
    "beanie": {"has_tables", "has_sync", "has_extensions", "on_neon", "has_prisma"},
    "prisma": {"has_tables", "has_documents", "has_sync", "has_extensions", "has_versions_folder"},
}


def test_flavours_have_the_same_files() -> None:
    """Check that databases of an ORM have the same files, and that every ORM has those in use."""
    sources = [name for name in tracked() if name.startswith(("template/", "flavours/"))]
    for orm in oracle.SUPPORTED:
        included = {
            name
            for source in sources
            if not NEVER[orm] & {*re.findall(r"\{% if (\w+) %\}", source)}
            for name in re.findall(r"'flavours/' ~ orm ~ '/([^']+)'", text(source))
        }
        names_of_orm = {path.name for path in (ROOT / "flavours" / orm).glob("*.jinja")}
        assert included - names_of_orm == set(), orm
        # The folder of the first ORM of a family also contains what the family shares.
        if not _databases(ROOT / "flavours" / orm):
            assert names_of_orm - included == set(), orm
    for siblings in map(_databases, _folders(ROOT / "flavours")):
        names = {folder: {path.name for path in folder.glob("*.jinja")} for folder in siblings}
        assert len({frozenset(found) for found in names.values()}) <= 1, names


def test_every_template_is_used() -> None:
    """Check that every file of the language and of the flavours is included somewhere."""
    sources = {
        name: text(name)
        for name in tracked()
        if name.startswith(("template/", "flavours/", "data_model/")) or name == "copier.yml"
    }
    for name in sources:
        if name.startswith(("flavours/", "data_model/")) and name.endswith((".jinja", ".mako")):
            # Paths are concatenated from parts, so only the file name can be searched; of a skill,
            # the name in copier.yml.
            known = Path(name).name
            if "/skills/" in name:
                known = f'"{known.removesuffix(".md.jinja")}"'
            used = any(known in source for other, source in sources.items() if other != name)
            assert used, name


def _folders(parent: Path) -> list[Path]:
    """Return the folders of ORMs or databases, without those that all of them share."""
    others = {"servers", "tests"}
    return [path for path in parent.iterdir() if path.is_dir() and path.name not in others]


def _databases(orm: Path) -> list[Path]:
    return [folder for folder in _folders(orm) if folder.name in oracle.DATABASES]


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))
