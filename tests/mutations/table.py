"""The tables of mutations, and how one is applied."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.workshop import ROOT

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Mutation:
    """A harmful change of one file of the template, and the test that must fail."""

    harm: str
    file: str
    replace: str
    replacement: str
    caught_by: str
    #: The answers of the project to test; None if this repository is tested.
    answers: Mapping[str, Any] | None
    #: The files or tests to run, in this order.
    run: tuple[str, ...]

    @property
    def test(self) -> str:
        """The name of the test that must fail."""
        return self.caught_by.rpartition("::")[2]

    def apply(self, template: Path) -> None:
        """Edit the file in a copy of the template.

        Raises:
            LookupError: The file does not contain the text to replace exactly once.
        """
        path = template / self.file
        text = path.read_text("utf-8") if path.exists() else ""
        if (found := text.count(self.replace)) != 1:
            raise LookupError(
                f"{self.harm}: {self.file} contains the text to replace {found} times, not once; "
                f"update its entry in tests/mutations/\n{self.replace}"
            )
        # Not written in place: the copy shares its files with others.
        path.unlink()
        path.write_text(text.replace(self.replace, self.replacement), "utf-8")


def read_tables() -> list[Mutation]:
    """Return all mutations."""
    return [
        Mutation(
            harm=entry["harm"],
            file=entry["file"],
            replace=entry["replace"],
            replacement=entry["with"],
            caught_by=entry["caught_by"],
            answers=entry.get("answers"),
            run=tuple(entry.get("run") or [entry["caught_by"]]),
        )
        for path in sorted(FOLDER.glob("*.yml"))
        for entry in yaml.safe_load(path.read_text("utf-8"))
    ]


def sample(mutations: Sequence[Mutation], size: int, turn: int) -> list[Mutation]:
    """Return `size` mutations: successive turns go through all of them, in a shuffled order."""
    shuffled = sorted(mutations, key=lambda each: hashlib.sha256(each.harm.encode()).digest())
    start = turn * size
    return [shuffled[place % len(shuffled)] for place in range(start, start + size)][
        : len(shuffled)
    ]


def turn() -> int:
    """Return the number of commits: each commit tries the next sample."""
    counted = subprocess.check_output(["git", "rev-list", "--count", "HEAD"], cwd=ROOT, text=True)
    return int(counted)
