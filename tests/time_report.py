"""Where the time of a test session went, over all of its processes.

`tests/conftest.py` prints it before the last line of a session that took longer than `SHORTEST`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from tests.oracle import CHOICES

# Seconds of tests, of all processes together.
SHORTEST = 60
MOST = 20

# The first prefix of a test's id says what kind it is; the suites of projects differ by database.
SUITES = "tests/test_run.py::test_a_project_passes_its_own_tests["
KINDS = {
    "tests/test_run.py": "projects without their development dependencies",
    "tests/test_matrix.py": "rendering",
    "tests/test_types.py": "types",
    "tests/test_any_model.py": "random models",
    "tests/test_revision.py": "revisions",
    "tests/test_update.py": "updates",
    "tests/test_moved_files.py": "updates",
    "tests/test_consent.py": "private servers",
    "tests/test_data_changes.py": "revisions",
    "tests/test_skills.py": "revisions",
    "tests/test_local_servers.py": "private servers",
    "tests/test_neon.py": "servers of other kinds",
    "tests/test_mysql.py": "servers of other kinds",
    "tests/test_extensions.py": "servers of other kinds",
    "tests/faults/": "faults",
    "tests/mutations/": "mutations",
    "tests/data_model/": "the language",
    "": "everything else",
}


class Report(Protocol):
    """What is used of a report of pytest: of the set-up, call or teardown of a test."""

    nodeid: str
    duration: float


def lines(reports: Iterable[Report]) -> list[str]:
    """Return the lines of the report; none for a short session."""
    each = list(reports)
    total = sum(report.duration for report in each)
    if total < SHORTEST:
        return []
    return [
        f"Tests took {total:,.0f} s in all processes together.",
        *_table(each, kind),
        "",
        f"The {MOST} most expensive:",
        *_table(each, group)[:MOST],
    ]


def kind(test: str) -> str:
    """Return the kind of a test, of which there are a few."""
    if test.startswith(SUITES):
        database = next(name for name in CHOICES["database"] if name in test.removeprefix(SUITES))
        return f"suites of projects on {database}"
    return next(name for prefix, name in KINDS.items() if test.startswith(prefix))


def group(test: str) -> str:
    """Return the name of a test without its parameters, or the project whose suite it runs."""
    return test if test.startswith(SUITES) else re.sub(r"\[.*", "", test, flags=re.DOTALL)


def _table(reports: Iterable[Report], name: Callable[[str], str]) -> list[str]:
    return [
        f"{seconds:7,.0f} s {tests:6,} {'test ' if tests == 1 else 'tests'}  {called}"
        for seconds, tests, called in sorted(_sums(reports, name), reverse=True)
        if seconds >= 0.5
    ]


def _sums(
    reports: Iterable[Report], name: Callable[[str], str]
) -> Iterator[tuple[float, int, str]]:
    seconds: dict[str, float] = defaultdict(float)
    tests: dict[str, set[str]] = defaultdict(set)
    for report in reports:
        called = name(report.nodeid)
        seconds[called] += report.duration
        tests[called].add(report.nodeid)
    for called, duration in seconds.items():
        yield duration, len(tests[called]), called
