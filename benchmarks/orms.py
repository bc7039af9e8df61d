"""Compare the ORMs: `uv run python -m benchmarks.orms`, by hand.

Generates the same project for each ORM, fills a private database of each with the same number of
sample records, and measures the same operations of its repositories. The projects take turns, in
another order each round, so that what else the machine does affects all of them. Prints the lowest
time of an operation, because noise only adds time, and its statements.

Prisma runs on the engines in `tests/engines/`, compiled to WebAssembly, unless PRISMA_NATIVE is set
and its own engines can be downloaded. docs/choosing.md has the results.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests import engines
from tests.workshop import Workshop, environment_of

WORKER = Path(__file__).with_name("orm_worker.py")
PROJECTS: dict[str, dict[str, Any]] = {
    "sqlalchemy": {"orm": "sqlalchemy"},
    "sqlmodel": {"orm": "sqlmodel"},
    "prisma": {"orm": "prisma"},
    "beanie": {"orm": "beanie"},
}


class Project:
    """A project, whose worker measures one operation at a time."""

    def __init__(self, workshop: Workshop, name: str, database: str) -> None:
        answers = PROJECTS[name] | ({} if name == "beanie" else {"database": database})
        folder = workshop.copy_of(name, **answers)
        python = workshop.python(name, [folder])
        environment = environment_of(python, folder)
        environment["PYTHONPATH"] += f"{os.pathsep}{folder}"
        if name == "prisma":
            if "PRISMA_NATIVE" not in os.environ:
                engines.install()
                environment = engines.environment(environment)
            generate = [str(python), "-m", "prisma", "generate"]
            subprocess.run(generate, cwd=folder, env=environment, check=True, capture_output=True)
        self._worker = subprocess.Popen(
            [python, WORKER],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.statements: dict[str, int] = json.loads(self._line())

    def milliseconds(self, operation: str) -> float:
        """Measure an operation."""
        assert self._worker.stdin
        self._worker.stdin.write(f"{operation}\n")
        self._worker.stdin.flush()
        return float(self._line())

    def stop(self) -> None:
        """End the worker, and with it its server."""
        self._worker.communicate("\n")

    def _line(self) -> str:
        assert self._worker.stdout
        line = self._worker.stdout.readline()
        if not line:
            raise SystemExit("a worker has failed; see above")
        return line


def main() -> None:
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--database", default="postgresql", help="for the SQL ORMs")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--orms", default=",".join(PROJECTS))
    arguments = parser.parse_args()
    names = arguments.orms.split(",")
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        Path(folder).chmod(0o711)
        projects = {
            name: Project(Workshop(Path(folder), "main"), name, arguments.database)
            for name in names
        }
        operations = list(projects[names[0]].statements)
        fastest = {(name, each): float("inf") for name in names for each in operations}
        for turn in range(arguments.rounds):
            for each in operations:
                for place in range(len(names)):
                    name = names[(turn + place) % len(names)]
                    measured = projects[name].milliseconds(each)
                    fastest[name, each] = min(fastest[name, each], measured)
            print(f"round {turn + 1} of {arguments.rounds}", file=sys.stderr)
        print("| operation |", " | ".join(names), "|")
        print("|---|" + "---|" * len(names))
        for each in operations:
            cells = [
                f"{fastest[name, each]:.1f} ms, {projects[name].statements[each]}" for name in names
            ]
            print(f"| {each.replace('_', ' ')} |", " | ".join(cells), "|")
        for project in projects.values():
            project.stop()


if __name__ == "__main__":
    main()
