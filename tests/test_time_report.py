"""The report of where the time of a session went."""

from __future__ import annotations

from dataclasses import dataclass

from tests.test_run import RUNS
from tests.time_report import MOST, SUITES, kind, lines


@dataclass
class Report:
    """A phase of a test that took some seconds."""

    nodeid: str
    duration: float


def test_seconds_and_tests_are_added_up_by_kind_and_by_function() -> None:
    reports = [
        Report(f"{SUITES}odd-mysql]", 40),
        Report(f"{SUITES}odd-mysql]", 2),
        Report(f"{SUITES}types-mysql]", 1000),
        Report("tests/test_types.py::test_types[a]", 3),
        Report("tests/test_types.py::test_types[b::c]", 4),
    ]
    assert lines(reports) == [
        "Tests took 1,049 s in all processes together.",
        "  1,042 s      2 tests  suites of projects on mysql",
        "      7 s      2 tests  types",
        "",
        f"The {MOST} most expensive:",
        f"  1,000 s      1 test   {SUITES}types-mysql]",
        f"     42 s      1 test   {SUITES}odd-mysql]",
        "      7 s      2 tests  tests/test_types.py::test_types",
    ]


def test_only_the_most_expensive_are_listed() -> None:
    reports = [Report(f"tests/test_x.py::test_{number}", number) for number in range(100)]
    printed = lines(reports)
    assert printed[-1].endswith("::test_80")
    assert printed[-MOST].endswith("::test_99")


def test_a_short_session_reports_nothing() -> None:
    assert lines([Report("tests/test_x.py::test_x", 5)]) == []


def test_every_suite_has_a_kind() -> None:
    assert {kind(f"{SUITES}{name}]") for name in RUNS} == {
        f"suites of projects on {database}"
        for database in ("postgresql", "neon", "mysql", "sqlite", "mongodb")
    }
