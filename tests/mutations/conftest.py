"""Which mutations are tried: a sample that changes with each commit, or all."""

from __future__ import annotations

import pytest

from tests.mutations.table import read_tables, sample, turn


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "mutation" in metafunc.fixturenames:
        mutations = read_tables()
        chosen = metafunc.config.getoption("mutations")
        if chosen != "all":
            mutations = sample(mutations, int(chosen), turn())
        metafunc.parametrize("mutation", mutations, ids=lambda mutation: mutation.harm)
