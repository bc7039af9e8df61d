"""What all tests share: the workshop of the session, and the order of the tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from functools import partialmethod
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment

from tests.oracle import SESSIONS, TRIPLES
from tests.workshop import TRICKY, CompiledTemplates, Workshop, model, new_workshop

FOLDER = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    worker = getattr(config, "workerinput", None)
    config.stash[FOLDER] = Path(worker["workshop"]) if worker else new_workshop()
    # Tests take from a second to a minute: hand them out one by one, as workers become free.
    if getattr(config.option, "maxschedchunk", 0) is None:
        config.option.maxschedchunk = 1


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist where the workshop is."""
    node.workerinput["workshop"] = str(node.config.stash[FOLDER])


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and FOLDER in config.stash:
        shutil.rmtree(config.stash[FOLDER], ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long tests first, so that no worker ends long after the others."""
    items.sort(key=lambda item: item.get_closest_marker("run") is None)


@pytest.fixture(scope="session", autouse=True)
def _nobodys_environment() -> Iterator[None]:
    """Keep the settings of whoever runs the tests out of the projects and out of git."""
    names = [name for name in os.environ if name.startswith(("GIT_", "COPIER_", "DATABASE_"))]
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.delenv(name)
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "Somebody")
            patch.setenv(f"GIT_{role}_EMAIL", "somebody@example.com")
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        yield


@pytest.fixture(scope="session", autouse=True)
def _compiled_templates(workshop: Workshop) -> Iterator[None]:
    """Take templates that an earlier render compiled: compiling is most of a render."""
    cache = CompiledTemplates(str(workshop.drawer("compiled")))
    with pytest.MonkeyPatch.context() as patch:
        remembering = partialmethod(Environment.__init__, bytecode_cache=cache)
        patch.setattr(Environment, "__init__", remembering)
        yield


@pytest.fixture(scope="session")
def workshop(request: pytest.FixtureRequest) -> Workshop:
    """The folder that the session works in."""
    worker = getattr(request.config, "workerinput", {}).get("workerid", "main")
    return Workshop(request.config.stash[FOLDER], worker)


@pytest.fixture(scope="session")
def python(workshop: Workshop) -> Path:
    """A Python with the dependencies of all generated projects."""
    both = [triple | {"sessions": SESSIONS[triple["orm"]][-1]} for triple in TRIPLES]
    answers = [*TRIPLES, *both, *(model(name) for name in TRICKY)]
    return workshop.python("environment", [workshop.render(**each) for each in answers])
