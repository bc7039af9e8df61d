"""What no file may contain: leaks, untidy lines, and phrases that are not plain English.

The results are cached, because most files are the same in many combinations.
"""

from __future__ import annotations

import re
from functools import cache

# The patterns are written so that they do not match themselves.
_LEAKS = {
    "a path of one machine": r"(?<![\w.:}/-])/(?:home|root|Users|work|mnt|tmp|var/folders)/[\w.-]+",
    "the host of a package registry": r"\bpy(?:pi)\.org|python(?:hosted)|npm(?:js)\.(?:org|com)",
    "the number of an issue": r"(?i)\b(?:issues?|pull request|pr|gh)[ -]#?\d+\b|[(\s]#\d+\b(?!\.)",
}

# Phrases that read as if translated; the standard term of the field is in the comment.
_PHRASES = re.compile(
    "|".join(
        (
            r"(?<!\")\brefus(?:e|ed|es|ing|al|als)\b",  # rejected, raises
            r"(?<![`\"])\b(?:some|no|any|every)body\b",  # the caller, another user, no one
            r"\bwho(?:so|m)?ever\b",  # the actor
            r"\bma(?:de|ke|kes|king)[- ]up\b",  # sample, generate
            r"\b(?:anew|afresh)\b",  # again
            r"\b(?:is|are|was|were|be) answered\b|\banswered (?:with|as|by)\b",  # returns, response
            r"\b(?:sees|seen) to\b|\bsees? to it\b",  # enforces, handles
            r"\bthrow[-_ ]away\b",  # temporary
            r"\bmoments\b|\b(?:the|its|that|same|one) moment\b",  # timestamp
            r"\b(?:to|at) the last migration\b",  # the latest revision
            r"\bprov(?:e|ed|es|en|ing)\b",  # verify
            r"\b(?:back and forth|forth and back)\b",  # upgrade, downgrade, upgrade
            r"\bpast the (?:repositories|pooler)\b",  # bypassing
            r"'s own way\b",  # -specific
            r"\bcounts? its changes\b",  # is versioned
            r"\b(?:is|are|was|were) told to\b",  # is configured to
            r"\b(?:as|what|that) one may\b",  # supports
            r"\bdearer\b",  # more expensive
            r"\b(?:good-bye|farewell|takes? leave)\b",  # closes
            r"\bhalves of (?:characters|one|a) ",  # lone surrogates
            r"\bnames no\b|\b(?:is|are) no such\b",  # no such, missing
            r"\blook(?:s|ed)? around\b",  # reads
            r"\bin our (?:own )?words\b",  # translated into our errors
            r"\bin each other's way\b|\bgot in the way\b",  # conflict
            r"\bso many (?:records|rows|documents|more|of them)\b",  # that number of
        )
    ),
    re.IGNORECASE,
)

_JINJA = re.compile(r"\{\{|\{%|\{#|%\}|#\}")
_GITHUB_EXPRESSION = re.compile(r"\$\{\{ [\w.]+ \}\}")


@cache
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
        # Prisma writes texts into SQL as they are.
        if "\t" in line and not path.endswith(".sql"):
            found.append(f"{path}:{number}: has a tab")
        if path.endswith(".py") and len(line) > 100:
            found.append(f"{path}:{number}: has {len(line)} characters")
    return found


@cache
def leaks(path: str, text: str) -> list[str]:
    """What a text tells of the machine or the work that it was made with."""
    return [
        f"{path}:{number}: {what}: {line.strip()}"
        for number, line in enumerate(text.split("\n"), 1)
        for what, pattern in _LEAKS.items()
        if re.search(pattern, line)
    ]


@cache
def phrases(path: str, text: str) -> list[str]:
    """Where a text contains a phrase that is not plain English, but for the list of them above."""
    return [
        f"{path}:{number}: {found[0]!r}: {line.strip()}"
        for number, line in enumerate(text.split("\n"), 1)
        for found in [_PHRASES.search(line)]
        if found and path != "tests/hygiene.py"
    ]


@cache
def unrendered(path: str, text: str) -> list[str]:
    """Where a generated file still has Jinja."""
    return [
        f"{path}:{number}: {line.strip()}"
        for number, line in enumerate(text.split("\n"), 1)
        if _JINJA.search(_GITHUB_EXPRESSION.sub("", line))
    ]
