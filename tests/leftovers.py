"""Words that belong to one choice: they appear in its projects, and in no others.

The tests check both: a word that never appears where it belongs would detect nothing elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

# These files contain the answers, and therefore words of choices and of the model; or they describe
# the language of the data model, which is the same for all choices.
ANSWERS = {
    ".copier-answers.yml",
    "data_model.yml",
    "docs/data-model.md",
    "docs/data_model.schema.json",
}


@dataclass(frozen=True)
class Word:
    """A word of a choice, in contents and in paths."""

    question: str
    choices: frozenset[Any]
    #: ORMs whose projects contain the word with any choice.
    orms: frozenset[str]
    pattern: re.Pattern[str]

    def belongs(self, answers: Mapping[str, Any]) -> bool:
        return answers[self.question] in self.choices or answers["orm"] in self.orms

    def places(self, project: Mapping[str, str]) -> list[str]:
        """Return the places of the word in a project of `{path: text}`."""
        return [
            place
            for path, text in project.items()
            if path not in ANSWERS
            for place in _places_of_words(path, text).get(self.pattern, ())
        ]

    def __str__(self) -> str:
        return f"{self.question} {self.pattern.pattern}"


@cache
def _places_of_words(path: str, text: str) -> dict[re.Pattern[str], list[str]]:
    """Return the places of each word in a file. Most files are the same in many combinations."""
    lines = [*enumerate([path, *text.splitlines()])]
    found = {
        word.pattern: [
            f"{path}:{number}: {line.strip()}"
            for number, line in lines
            if word.pattern.search(line)
        ]
        for word in WORDS
    }
    return {pattern: places for pattern, places in found.items() if places}


def _words(
    question: str, choices: set[Any], *patterns: str, orms: frozenset[str] = frozenset()
) -> list[Word]:
    """Return words that ignore case, unless the pattern contains a capital letter."""
    flags = {pattern: re.IGNORECASE if pattern == pattern.lower() else 0 for pattern in patterns}
    return [
        Word(question, frozenset(choices), orms, re.compile(pattern, flags[pattern]))
        for pattern in patterns
    ]


# Words of projects that store tables, and of projects that store documents.
_SQL_WORDS = [
    r"\brows?\b",
    r"\bcolumns?\b",
    r"\btables?\b",
    r"\bforeign.?keys?\b",
    r"\bprimary keys?\b",
    r"\bsql\b",
    r"\bsavepoints?\b",
    r"\b(WHERE|SELECT|INSERT|RETURNING|CHECKs?|JOIN|SET NULL|CASCADE|RESTRICT|ON DELETE|DDL)\b",
]
_MONGODB_WORDS = [
    "beanie",
    "bson",
    "mongo",
    "objectid",
    r"\breplica set\b",
    r"\bmultikey\b",
    r"_touched\b",
    r"\$(expr|jsonSchema|set)\b",
]

WORDS = [
    *_words("orm", {"sqlalchemy", "sqlmodel", "prisma"}, *_SQL_WORDS),
    *_words("orm", {"sqlalchemy", "sqlmodel"}, "sqlalchemy", "alembic"),
    *_words("orm", {"prisma"}, "prisma", r"\bquery engine\b"),
    *_words("orm", {"beanie"}, *_MONGODB_WORDS),
    *_words("orm", {"sqlalchemy"}, "DeclarativeBase", r"Mapped\[datetime"),
    *_words("orm", {"sqlmodel"}, "sqlmodel"),
    # The tests of every project contain a URL that is rejected for its driver.
    *_words("database", {"postgresql", "neon"}, "asyncpg", r"postgres(?!ql://)", "jsonb"),
    *_words("database", {"postgresql", "neon", "mysql", "mongodb"}, r"\bcompose\b"),
    *_words("database", {"mysql"}, "aiomysql", "mariadb", r"mysql(?!://)"),
    *_words("database", {"neon"}, r"\bneon\b", r"\bpooler", "unpooled"),
    *_words("database", {"sqlite"}, "aiosqlite", "sqlite"),
    *_words(
        "sessions", {"both"}, r"psycopg(?!://)", r"\bsync_(?!engine|session_class)", r"Sync[A-Z]"
    ),
    *_words("primary_key", {"uuid7"}, "uuid[-_]utils", "uuid_?7"),
    *_words("primary_key", {"uuid4"}, "uuid_?4"),
    *_words("primary_key", {"uuid4", "uuid7"}, "uuid"),
    *_words("primary_key", {"integer"}, "64-bit integers"),
    *_words("primary_key", {"objectid"}, "PydanticObjectId", "Keys are ObjectIds"),
    *_words(
        "api",
        {True},
        "fastapi",
        "jwt",
        "uvicorn",
        "starlette",
        r"(^|/)api/",
        r"\bthe API\b",
    ),
    # Prisma's client sends queries to its engine with it.
    *_words("api", {True}, "httpx", orms=frozenset({"prisma"})),
    *_words("ci", {"github"}, r"\.github/", "actions/checkout"),
    *_words(
        "starter",
        {"tasks"},
        r"task_tag",
        r"TaskTag",
        r"(?<!asyncio\.)\bTask\b",
        r"\btasks\b",
    ),
    *_words("starter", {"tasks", "shop", "blog"}, r"categor(y|ies)\b"),
    *_words("starter", {"tasks", "blog"}, r"\bTag(Create|Update|Response|Repository)"),
    *_words("starter", {"tasks", "shop", "blog", "saas"}, "password_hash"),
    *_words("starter", {"tasks", "shop", "blog", "saas", "chinook"}, "email-validator"),
    *_words("starter", {"shop", "blog", "saas"}, r"\brstr\b"),
    *_words("starter", {"shop"}, "cart_line", "CartLine"),
    *_words("starter", {"blog"}, "bookmark"),
    *_words("starter", {"saas"}, "membership"),
    *_words("starter", {"chinook"}, "playlist"),
    *_words(
        "starter",
        {"blank"},
        r"\bItem(Create|Update|Response|Repository)",
        r"tablename__ = \"items\"",
    ),
]
