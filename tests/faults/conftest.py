"""The bank on each database, migrated once per worker."""

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

from tests.faults.application import Application, environment_of, serving
from tests.faults.store import Store
from tests.faults.stores import STORES
from tests.workshop import Workshop

MODEL = yaml.safe_load(Path(__file__).with_name("bank.yml").read_text("utf-8"))

Serving = Callable[..., AbstractAsyncContextManager[Application]]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run the tests that are coroutines on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session", params=STORES, ids=lambda kind: kind.name)
def store(request: pytest.FixtureRequest, workshop: Workshop, python: Path) -> Iterator[Store]:
    """A running, migrated database."""
    folder = workshop.new_folder(request.param.name)
    store: Store = request.param(folder)
    project = shutil.copytree(workshop.render(**MODEL | store.answers), folder / "project")
    store.start()
    try:
        command = [str(python), "-c", "from bank.cli import app; app()", "db", "upgrade"]
        subprocess.run(command, cwd=project, env=environment_of(python, project, store), check=True)
        asyncio.run(store.doom())
        yield store
    finally:
        store.stop()
        shutil.rmtree(folder)


@pytest.fixture
def bank(store: Store, python: Path) -> Serving:
    """A function that serves the bank on the database with settings: `bank(pool_size=2)`."""
    return partial(serving, python, store.folder / "project", store)
