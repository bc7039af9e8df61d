"""What no file may hold, whoever wrote it."""

from __future__ import annotations

import re

# The patterns are written so that they do not match themselves.
_LEAKS = {
    "a path of one machine": r"(?<![\w.:}/-])/(?:home|root|Users|work|mnt|tmp|var/folders)/[\w.-]+",
    "the host of a package registry": r"\bpy(?:pi)\.org|python(?:hosted)|npm(?:js)\.(?:org|com)",
    "the number of an issue": r"(?i)\b(?:issues?|pull request|pr|gh)[ -]#?\d+\b|[(\s]#\d+\b(?!\.)",
}

_JINJA = re.compile(r"\{\{|\{%|\{#|%\}|#\}")
_GITHUB_EXPRESSION = re.compile(r"\$\{\{ [\w.]+ \}\}")


def faults(path: str, text: str) -> list[str]:
    """What is wrong with the layout of a text file, a line each."""
    found = []
    if text and (not text.endswith("\n") or text.endswith("\n\n")):
        found.append(f"{path}: does not end in exactly one line break")
    if not text and not path.endswith("py.typed"):
        found.append(f"{path}: is empty")
    if "\n\n\n\n" in text:
        found.append(f"{path}: has three blank lines in a row")
    for number, line in enumerate(text.split("\n"), 1):
        if line != line.rstrip():
            found.append(f"{path}:{number}: ends in white space")
        if "\t" in line:
            found.append(f"{path}:{number}: has a tab")
        if path.endswith(".py") and len(line) > 100:
            found.append(f"{path}:{number}: has {len(line)} characters")
    return found


def leaks(path: str, text: str) -> list[str]:
    """What a text tells of the machine or the work that it was made with."""
    return [
        f"{path}:{number}: {what}: {line.strip()}"
        for number, line in enumerate(text.split("\n"), 1)
        for what, pattern in _LEAKS.items()
        if re.search(pattern, line)
    ]


def unrendered(path: str, text: str) -> list[str]:
    """Where a generated file still has Jinja."""
    return [
        f"{path}:{number}: {line.strip()}"
        for number, line in enumerate(text.split("\n"), 1)
        if _JINJA.search(_GITHUB_EXPRESSION.sub("", line))
    ]
