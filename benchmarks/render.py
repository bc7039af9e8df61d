"""What `copier copy` costs as a data model grows. By hand: `uv run python benchmarks/render.py`.

Renders models of 30, 100 and 300 entities, each several times, and prints the CPU time of the
fastest, as noise only ever adds. A render has a price of its own (the templates are compiled), so
what tells of growth is the price of one more entity: from 100 to 300 it may not be higher than
from 30 to 100. Exits 1 if it is.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
TEMPLATE = ("copier.yml", "data_model", "flavours", "template")
SIZES = (30, 100, 300)

#: The price of one more entity may not grow. What is above 1 here is noise.
TOLERATED = 1.1


def model(entities: int, database: str = "postgresql") -> dict[str, Any]:
    """The answers of a project with so many entities, the same every time."""
    return {
        "project_name": "Large",
        "database": database,
        "entities": {name(number): entity(number) for number in range(entities)},
    }


def name(number: int) -> str:
    """The name of an entity: a word for each of three digits, as digits read badly in a schema."""
    digits = ("Ash", "Bay", "Cedar", "Dogwood", "Elm", "Fir", "Gum", "Hazel", "Ivy", "Juniper")
    return "".join(digits[int(digit)] for digit in f"{number:03}")


def entity(number: int) -> dict[str, Any]:
    """One entity: every third is owned, every tenth has a many-to-many relation."""
    written: dict[str, Any] = {
        "description": f"Number {number} of a large model.",
        "fields": {
            "title": {"type": "string", "min_length": 1, "max_length": 200},
            "code": {"type": "string", "max_length": 40, "unique": True},
            "status": {"type": "enum", "values": ["open", "held", "done"], "default": "open"},
            "amount": {"type": "decimal", "precision": 12, "scale": 2, "ge": 0, "default": "0.00"},
            "starts_on": {"type": "date", "optional": True},
            "ends_on": {"type": "date", "optional": True},
            "details": {"type": "json", "default": {}},
        },
        "checks": {"ends_after_start": {"rule": "ends_on >= starts_on", "why": "Time goes on."}},
        "indexes": [{"on": ["status", "-created_at"], "why": "Lists by status, newest first."}],
    }
    if number % 3 == 2:
        written["owned_by"] = name(0)
    if number % 7 == 6:
        written |= {"soft_delete": True, "versioned": True}
    if number > 1:
        written["references"] = references(number)
    if number % 10 == 9:
        written["many_to_many"] = {"peers": {"to": name(number - 5)}}
    return written


def references(number: int) -> dict[str, Any]:
    """One or two references to entities that come before."""
    found = {"parent": {"to": name(number // 2), "optional": True, "on_delete": "set_null"}}
    if number % 2:
        found["kind"] = {"to": name(number - 1), "optional": True}
    return found


def seconds(template: Path, answers: dict[str, Any], folder: Path) -> float:
    """The CPU time of one `copier copy`, with that of whatever it starts."""
    said = folder / "answers.yml"
    said.write_text(yaml.safe_dump(answers, sort_keys=False), "utf-8")
    command = [sys.executable, "-m", "copier", "copy", "--quiet", "--defaults", "--overwrite"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*command, "--data-file", said, template, folder / "project"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def fastest(database: str, size: int, times: int) -> float:
    """The least CPU time of several renders of a model."""
    found = []
    for _ in range(times):
        with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
            # A copy that is no clone: Copier takes the tags of one, not the working tree.
            template = Path(folder) / "template"
            for part in TEMPLATE:
                copy = shutil.copy if (ROOT / part).is_file() else shutil.copytree
                template.mkdir(exist_ok=True)
                copy(ROOT / part, template / part)
            found.append(seconds(template, model(size, database), Path(folder)))
    return min(found)


def main() -> int:
    """Measure, print, and say by the exit code whether the cost is linear."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--database", default="postgresql")
    parser.add_argument("--times", type=int, default=3)
    arguments = parser.parse_args()
    spent = {size: fastest(arguments.database, size, arguments.times) for size in SIZES}
    print("entities  CPU seconds  milliseconds an entity")
    for size, total in spent.items():
        print(f"{size:8}  {total:11.2f}  {total / size * 1000:22.1f}")
    small, middle, large = SIZES
    first = (spent[middle] - spent[small]) / (middle - small)
    last = (spent[large] - spent[middle]) / (large - middle)
    whole = spent[large] / large / (spent[small] / small)
    print(
        f"one more entity: {first * 1000:.1f} ms from {small}, {last * 1000:.1f} ms from {middle}"
    )
    print(f"ratio of one more entity {last / first:.2f}, of all in all {whole:.2f}")
    return int(last > first * TOLERATED)


if __name__ == "__main__":
    sys.exit(main())
