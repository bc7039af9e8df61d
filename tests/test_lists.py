"""Lists read little, however many records there are: see docs/decisions/0050."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.oracle import answers_for
from tests.workshop import Workshop, environment_of, model

SCRIPT = Path(__file__).with_name("lists_trial.py")
# At 100,000, by hand: the numbers do not change, but each database takes a minute.
RECORDS = "30000"


@pytest.mark.run
@pytest.mark.parametrize("database", ["postgresql", "mysql", "sqlite", "mongodb"])
def test_an_index_serves_every_filter_bound_and_order(
    database: str, workshop: Workshop, python: Path
) -> None:
    answers = model("lists") | answers_for(database, 0) | {"api": False}
    if database == "sqlite":
        # Among equal values, SQLite cannot find the position of an integer key: see the decision.
        answers["primary_key"] = "uuid7"
    project = workshop.render(**answers)
    done = subprocess.run(
        [python, SCRIPT, RECORDS],
        cwd=project,
        env=environment_of(python, project),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *costly, total = done.stdout.splitlines()
    assert costly == []
    assert int(total.removesuffix(" pages")) > 150
