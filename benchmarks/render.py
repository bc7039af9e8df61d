"""Measure how `copier copy` scales with the data model: `uv run python benchmarks/render.py`.

Renders models of 30, 100 and 300 entities several times each, and prints the lowest CPU time,
because noise only adds time. Every render has a fixed cost (compiling the templates), so the
measure is the cost of one more entity: from 100 to 300, it must not be higher than from 30 to 100.
Exits with code 1 if it is. `--sizes 3 30 300 1000` measures other models, and compares the cost of
one more entity between the last three.

Where the time goes: of a default project, four fifths are spent compiling 340 templates and 1,900
paths and questions, a twentieth on one call of git for each file, and the rest on rendering. With
100 entities, two thirds are spent on rendering.
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
#: There are no more names.
MOST = 1000

#: How much the cost of one more entity may grow: the part above 1 is tolerance for noise.
TOLERATED = 1.1


def model(entities: int, database: str = "postgresql") -> dict[str, Any]:
    """Return the answers of a project with this number of entities. They are deterministic."""
    return {
        "project_name": "Large",
        "database": database,
        "entities": {name(number): entity(number) for number in range(entities)},
    }


def name(number: int) -> str:
    """Return the name of an entity: a word for each of three digits."""
    digits = ("Ash", "Bay", "Cedar", "Dogwood", "Elm", "Fir", "Gum", "Hazel", "Ivy", "Juniper")
    return "".join(digits[int(digit)] for digit in f"{number:03}")


def entity(number: int) -> dict[str, Any]:
    """Return one entity: every third is owned, every tenth has a many-to-many relation."""
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
        "checks": {"ends_after_start": {"rule": "ends_on >= starts_on", "why": "Starts first."}},
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
    """Return one or two references to earlier entities."""
    found = {"parent": {"to": name(number // 2), "optional": True, "on_delete": "set_null"}}
    if number % 2:
        found["kind"] = {"to": name(number - 1), "optional": True}
    return found


def seconds(template: Path, answers: dict[str, Any], folder: Path) -> float:
    """Return the CPU time of one `copier copy`, including its child processes."""
    data = folder / "answers.yml"
    data.write_text(yaml.safe_dump(answers, sort_keys=False), "utf-8")
    command = [sys.executable, "-m", "copier", "copy", "--quiet", "--defaults", "--overwrite"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*command, "--data-file", data, template, folder / "project"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def fastest(database: str, size: int, times: int) -> float:
    """Return the lowest CPU time of several renders of a model."""
    found = []
    for _ in range(times):
        with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
            # A plain copy: from a clone, Copier would take the latest tag, not the working tree.
            template = Path(folder) / "template"
            for part in TEMPLATE:
                copy = shutil.copy if (ROOT / part).is_file() else shutil.copytree
                template.mkdir(exist_ok=True)
                copy(ROOT / part, template / part)
            found.append(seconds(template, model(size, database), Path(folder)))
    return min(found)


def main() -> int:
    """Measure and print; return 1 if the cost grows faster than linearly."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--database", default="postgresql")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    arguments = parser.parse_args()
    sizes = sorted({*arguments.sizes})
    if len(sizes) < 3 or sizes[-1] > MOST:
        parser.error(f"--sizes needs three numbers or more, up to {MOST}")
    spent = {size: fastest(arguments.database, size, arguments.times) for size in sizes}
    print("entities  CPU seconds  milliseconds per entity")
    for size, total in spent.items():
        print(f"{size:8}  {total:11.2f}  {total / size * 1000:22.1f}")
    small, middle, large = sizes[-3:]
    first = (spent[middle] - spent[small]) / (middle - small)
    last = (spent[large] - spent[middle]) / (large - middle)
    whole = spent[large] / large / (spent[small] / small)
    print(
        f"one more entity: {first * 1000:.1f} ms from {small}, {last * 1000:.1f} ms from {middle}"
    )
    print(f"ratio of one more entity {last / first:.2f}, of the total per entity {whole:.2f}")
    return int(last > first * TOLERATED)


if __name__ == "__main__":
    sys.exit(main())
