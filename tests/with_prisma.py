"""A copy of the template that offers Prisma, which is not complete: it has no migrations yet."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from filelock import FileLock

from tests.workshop import Workshop

CHOICE = "    Beanie 2.2 (MongoDB documents): beanie\n"
FLAVOUR = re.compile(r"(include 'flavours/' ~ (?:family|orm)[^%]*) %}")


def template_with_prisma(workshop: Workshop) -> Path:
    """Return a copy of the template that offers Prisma, and leaves out what Prisma lacks."""
    template = workshop.folder / "prisma-template"
    with FileLock(template.with_suffix(".lock")):
        if not template.exists():
            unfinished = template.with_suffix(".unfinished")
            shutil.copytree(workshop.template(), unfinished)
            _offer(unfinished)
            unfinished.rename(template)
    return template


def _offer(template: Path) -> None:
    for file, text, replacement in [
        ("copier.yml", CHOICE, f"{CHOICE}    Prisma: prisma\n"),
        ("data_model/answer_problems.jinja", "'beanie'],\n", "'beanie', 'prisma'],\n"),
    ]:
        path = template / file
        before = path.read_text("utf-8")
        assert before.count(text) == 1, f"{file}: {text!r}"
        path.write_text(before.replace(text, replacement), "utf-8")
    for path in (template / "template").rglob("*.jinja"):
        before = path.read_text("utf-8")
        after = FLAVOUR.sub(r"\1 ignore missing %}", before)
        if after != before:
            path.write_text(after, "utf-8")
