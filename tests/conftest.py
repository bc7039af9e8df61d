"""Fixtures of all tests: the workshop of the session, its Python, and the order of the tests."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from functools import partialmethod
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment

from tests import time_report
from tests.oracle import PAIRS, SESSIONS
from tests.workshop import (
    ROOT,
    TRICKY,
    CompiledTemplates,
    Workshop,
    compiled_once,
    model,
    new_workshop,
)

# As many mutations as take two minutes at most.
SAMPLE = "8"
CONSENT = (
    ROOT / "template" / "python" / "src" / "{{ package }}" / "migrating" / "consent.py.jinja"
).read_text("utf-8")
FOLDER = pytest.StashKey[Path]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--mutations",
        default=SAMPLE,
        help="the number of mutations to try, or `all`; see tests/mutations/__init__.py",
    )


def pytest_configure(config: pytest.Config) -> None:
    worker = getattr(config, "workerinput", None)
    config.stash[FOLDER] = Path(worker["workshop"]) if worker else new_workshop()
    # Tests take from a second to a minute: distribute them one by one to idle workers.
    if getattr(config.option, "maxschedchunk", 0) is None:
        config.option.maxschedchunk = 1


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Pass the folder of the workshop to a worker of pytest-xdist."""
    node.workerinput["workshop"] = str(node.config.stash[FOLDER])


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and FOLDER in config.stash:
        shutil.rmtree(config.stash[FOLDER], ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run slow tests first and short ones last, so that all workers finish at the same time.

    The first test makes one worker install the environment of the projects. The next ones do not
    need it, so that the others need not wait.
    """
    short, without_environment = "test_matrix.py", "test_local_servers.py"
    items.sort(key=lambda item: (not item.get_closest_marker("run"), item.path.name == short))
    first = next((item for item in items if "python" in getattr(item, "fixturenames", ())), None)
    items.sort(key=lambda item: (item is not first, item.path.name != without_environment))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print where the time went; the reports of all workers arrive here."""
    reports = [
        report
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport)
    ]
    if found := time_report.lines(reports):
        terminalreporter.section("time")
        for line in found:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session", autouse=True)
def _isolated_environment() -> Iterator[None]:
    """Remove the developer's settings from the environment of git and of the projects."""
    names = [name for name in os.environ if name.startswith(("GIT_", "COPIER_", "DATABASE_"))]
    # Projects ask for consent if a coding agent runs the tests.
    names += [name for name in re.findall(r'^    "(\w+)": ', CONSENT, re.M) if name in os.environ]
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.delenv(name)
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "Ada Lovelace")
            patch.setenv(f"GIT_{role}_EMAIL", "ada@example.com")
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        yield


@pytest.fixture(scope="session", autouse=True)
def _fast_renders(workshop: Workshop) -> Iterator[None]:
    """Omit what takes most of the time of a render and does not depend on the answers.

    Cache compiled templates, and the compiled text of paths and questions. Do not ask git about the
    executable bit of each file, which Copier sets itself wherever git uses the bits of the files.
    """
    cache = CompiledTemplates(str(workshop.shared_folder("compiled")))
    with pytest.MonkeyPatch.context() as patch:
        caching = partialmethod(Environment.__init__, bytecode_cache=cache)
        patch.setattr(Environment, "__init__", caching)
        patch.setattr(Environment, "compile", compiled_once(Environment.compile))
        if os.name == "posix":
            asking = "copier._main.Worker._sync_git_index_executable_bit"
            patch.setattr(asking, lambda *_: None, raising=False)
        yield


@pytest.fixture(scope="session")
def workshop(request: pytest.FixtureRequest) -> Workshop:
    """The workshop of the session."""
    worker = getattr(request.config, "workerinput", {}).get("workerid", "main")
    return Workshop(request.config.stash[FOLDER], worker)


@pytest.fixture(scope="session")
def python(workshop: Workshop) -> Path:
    """A Python with the dependencies of all generated projects."""
    # A key of version 7 has a library, and so have sync sessions: these projects need everything.
    pairs = [
        {"orm": orm, "database": database, "primary_key": "uuid7", "sessions": SESSIONS[orm][-1]}
        for orm, database in PAIRS
    ]
    answers = [*pairs, *(model(name) for name in TRICKY)]
    return workshop.python("environment", (workshop.render(**each) for each in answers))
