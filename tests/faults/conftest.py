"""A bank on each database, migrated once for every worker."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest
import yaml

from tests.faults.application import Application, serving, surroundings
from tests.faults.store import Store
from tests.faults.stores import STORES
from tests.workshop import Workshop

MODEL = yaml.safe_load(Path(__file__).with_name("bank.yml").read_text("utf-8"))

Serving = Callable[..., AbstractAsyncContextManager[Application]]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Tests that are coroutines run on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session", params=STORES, ids=lambda kind: kind.name)
def store(request: pytest.FixtureRequest, workshop: Workshop, python: Path) -> Iterator[Store]:
    """A database that is up, migrated."""
    folder = workshop.room(request.param.name)
    store: Store = request.param(folder)
    project = shutil.copytree(workshop.render(**MODEL | store.answers), folder / "project")
    store.start()
    try:
        command = [str(python), "-c", "from bank.cli import app; app()", "db", "upgrade"]
        subprocess.run(command, cwd=project, env=surroundings(python, project, store), check=True)
        asyncio.run(store.doom())
        yield store
    finally:
        store.stop()
        shutil.rmtree(folder)


@pytest.fixture
def bank(store: Store, python: Path) -> Serving:
    """What serves the bank on the database, with settings: `bank(pool_size=2)`."""
    return partial(serving, python, store.folder / "project", store)
