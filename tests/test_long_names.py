"""Names of any length: the formatter, the linter and the validator accept what comes out.

The ordinary suite draws one model for each ORM, and always the same one: about 250 names each.
`GROUNDWORK_EXAMPLES=100` draws 100 random ones instead.
"""

from __future__ import annotations

import random

import pytest

from tests.any_model import SEARCHED
from tests.long_names import entities
from tests.oracle import SESSIONS, SUPPORTED
from tests.test_matrix import ruff
from tests.workshop import Workshop

# The number of entities of a model, and the models that are drawn.
ENTITIES = 10
SEEDS = [random.randrange(10**9) for _ in range(SEARCHED)] or [9]

# One database each; on MariaDB, partial unique indexes are generated columns.
STORES = [
    ("sqlalchemy", "neon"),
    ("sqlmodel", "mysql"),
    ("beanie", "mongodb"),
    ("prisma", "postgresql"),
]


@pytest.mark.parametrize(("orm", "database"), STORES)
@pytest.mark.parametrize("seed", SEEDS)
def test_long_names_are_clean_for_ruff(
    orm: str, database: str, seed: int, workshop: Workshop
) -> None:
    """The lengths of names, of the package, too, determine line breaks."""
    choose = random.Random(seed)
    project = workshop.render(
        project_name="Long names",
        package=choose.choice("abcdefgh") * choose.randint(1, 40),
        orm=orm,
        database=database,
        primary_key=choose.choice(sorted(SUPPORTED[orm][database])),
        sessions=choose.choice(SESSIONS[orm]),
        entities=entities(seed, ENTITIES),
    )
    ruff([project])
