"""The valid and invalid combinations of answers, defined independently of the template.

A test fails when an invalid combination is generated, when a valid one is rejected, and when one is
rejected for a reason that is not predicted here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

# ---- The choices

CHOICES: dict[str, list[Any]] = {
    "orm": ["sqlalchemy", "sqlmodel", "beanie", "prisma"],
    "database": ["postgresql", "neon", "mysql", "sqlite", "mongodb"],
    "primary_key": ["integer", "uuid4", "uuid7", "objectid"],
    "sessions": ["async", "both"],
    "api": [True, False],
    "ci": ["github", "none"],
    "starter": ["tasks", "shop", "blog", "saas", "chinook", "blank"],
}

# The databases that each ORM supports, and the primary keys of each.
SUPPORTED = {
    orm: {
        database: {"integer", "uuid4", "uuid7"}
        for database in ("postgresql", "neon", "mysql", "sqlite")
    }
    for orm in ("sqlalchemy", "sqlmodel")
} | {
    "beanie": {"mongodb": {"objectid", "uuid4", "uuid7"}},
    "prisma": {
        database: {"integer", "uuid4", "uuid7"} for database in ("postgresql", "neon", "sqlite")
    },
}
# Projects of these are run with stand-ins for Prisma's engines, by tests of their own.
WITH_ENGINES = {"prisma"}

# Every value that a user might try.
ORMS = ["sqlalchemy", "sqlmodel", "beanie", "prisma", "prisma-typescript", "django"]
DATABASES = ["postgresql", "neon", "mysql", "sqlite", "mongodb", "oracle"]
PRIMARY_KEYS = ["integer", "uuid4", "uuid7", "objectid"]

# The errors of combinations that do not work.
_CHOOSE_MONGODB = "SQL ORMs only; Beanie needs mongodb"
_CHOOSE_SQL = "for the ORM beanie; choose beanie or a SQL database"
_NOT_TESTED = "not tested with Prisma; use sqlalchemy or sqlmodel"
_NO_DOCUMENTS = "Prisma stores tables here; choose beanie"
_NO_AUTO_INCREMENT = "not on MongoDB; choose uuid7"
_NO_OBJECT_IDS = "MongoDB only; choose uuid7 or integer"


def rejection(orm: str, database: str, primary_key: str) -> tuple[str, str] | None:
    """Return the question whose answer is rejected, and the error; None for a triple that works."""
    if orm not in SUPPORTED:
        return "orm", f"'{orm}' is not in"
    if database not in SUPPORTED[orm]:
        if database not in CHOICES["database"]:
            return "database", f"'{database}' is not in"
        if orm == "prisma":
            return "database", _NO_DOCUMENTS if database == "mongodb" else _NOT_TESTED
        return "database", _CHOOSE_MONGODB if orm == "beanie" else _CHOOSE_SQL
    if primary_key not in SUPPORTED[orm][database]:
        return "primary_key", _NO_AUTO_INCREMENT if orm == "beanie" else _NO_OBJECT_IDS
    return None


# Every database with each ORM that supports it.
PAIRS = [(orm, database) for orm, databases in SUPPORTED.items() for database in databases]


def stored_by(orm: str, database: str, answers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same answers for another database, with a primary key that it supports."""
    key = answers.get("primary_key", "uuid7")
    key = key if key in SUPPORTED[orm][database] else "objectid"
    return {**answers, "orm": orm, "database": database, "primary_key": key}


def possible(answers: Mapping[str, Any]) -> bool:
    """Whether a project can be generated from these answers."""
    triple = {name: answers[name] for name in ("orm", "database", "primary_key")}
    return rejection(**triple) is None and answers["sessions"] in SESSIONS[answers["orm"]]


def _combine(questions: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(questions, answers, strict=True)) for answers in product(*questions.values())]


def _cycle(answers: list[Any], turn: int) -> Any:
    return answers[turn % len(answers)]


ASKED = _combine({"orm": ORMS, "database": DATABASES, "primary_key": PRIMARY_KEYS})
TRIPLES = [triple for triple in ASKED if rejection(**triple) is None]
# Beanie uses PyMongo's async driver only, and projects with Prisma its async client.
SESSIONS = {
    orm: ["async"] if orm in {"beanie", "prisma"} else CHOICES["sessions"] for orm in SUPPORTED
}
SWITCHES = _combine({name: CHOICES[name] for name in ("api", "ci")})
# This starter is combined with every triple and all switches. The others differ only in data: each
# is combined with every database of every ORM and every answer of every question. Sessions
# alternate everywhere, because sync code is async code without `await`.
WHOLE = {"tasks"}
_CANDIDATES = [
    triple
    | {"sessions": _cycle(SESSIONS[triple["orm"]], turn // 2 + place)}
    | switches
    | {"starter": starter}
    for turn, triple in enumerate(TRIPLES)
    for place, switches in enumerate(SWITCHES)
    for offset, starter in enumerate(CHOICES["starter"])
    if starter in WHOLE or place == (turn + offset) % len(SWITCHES)
]


def _covering(candidates: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return those with a starter of `WHOLE`, and of the others those that add anything."""
    found = []
    covered: set[Any] = set()
    for answers in candidates:
        storage = answers["starter"], answers["orm"], answers["database"]
        adds = {storage, *combinations(answers.items(), 2)}
        if answers["starter"] in WHOLE or not adds <= covered:
            found.append(answers)
            covered |= adds
    return found


COMBINATIONS = _covering(_CANDIDATES)


def answers_for(database: str, turn: int) -> dict[str, Any]:
    """Return answers for a project on this database, alternating between its ORMs and keys.

    Its tests run without the stand-ins for Prisma's engines.
    """
    orms = [orm for orm in SUPPORTED if database in SUPPORTED[orm] and orm not in WITH_ENGINES]
    orm = _cycle(orms, turn)
    keys = [key for key in CHOICES["primary_key"] if key in SUPPORTED[orm][database]]
    return {"orm": orm, "database": database, "primary_key": _cycle(keys, turn)}


def label(answers: Mapping[str, Any]) -> str:
    """Return the name of a case, such as sqlalchemy-sqlite-uuid7-api-none-blank."""
    return "-".join(
        ("api" if answer else "layer") if name == "api" else str(answer)
        for name, answer in answers.items()
    )


# ---- Answers that are always rejected


@dataclass(frozen=True)
class Rejection:
    """Answers that are invalid, and the reason that the error must contain."""

    when: str
    answers: Mapping[str, Any]
    reason: str


_NOT_A_NAME = (
    "is not a valid package name; use lower-case letters, digits and underscores, for example"
)
_TAKEN = "is the name of a module that the project uses; choose another, for example"


def _package(name: str, reason: str, better: str, **answers: Any) -> Rejection:
    shown = f'"{name}"' if reason == _NOT_A_NAME else f"'{name}'"
    given = answers or {"package": name}
    return Rejection(f"package {name!r}", given, f"package: {shown} {reason} '{better}'")


REJECTED = [
    Rejection("no name", {"project_name": ""}, "project_name: is empty; enter a name such as Acme"),
    Rejection(
        "a blank name",
        {"project_name": "  "},
        "project_name: is empty; enter a name such as Acme",
    ),
    Rejection(
        "a name of two lines",
        {"project_name": "Acme\nimport os"},
        "project_name: contains a line break or a control character; write it on one line",
    ),
    Rejection(
        "a name with a bidirectional control",
        {"project_name": "Acme \u202eemca"},
        "project_name: contains a line break or a control character; write it on one line",
    ),
    Rejection(
        "a long name",
        {"project_name": "a" * 81},
        "project_name: has 81 characters; use at most 80",
    ),
    Rejection(
        "a description of two lines",
        {"description": "One.\nTwo."},
        "description: contains a line break or a control character; write it on one line",
    ),
    Rejection(
        "a long description",
        {"description": "a" * 301},
        "description: has 301 characters; use at most 300",
    ),
    _package("my-package", _NOT_A_NAME, "my_package"),
    _package("Acme", _NOT_A_NAME, "acme"),
    _package("1st", _NOT_A_NAME, "app_1st"),
    _package("../escape", _NOT_A_NAME, "escape"),
    _package("", _NOT_A_NAME, "app"),
    _package("class", _TAKEN, "class_app"),
    _package("sqlalchemy", _TAKEN, "sqlalchemy_app"),
    _package("sqlmodel", _TAKEN, "sqlmodel_app"),
    _package("prisma", _TAKEN, "prisma_app"),
    _package("uvicorn", _TAKEN, "uvicorn_app"),
    _package("tests", _TAKEN, "tests_app"),
    _package("migrations", _TAKEN, "migrations_app"),
    _package("json", _TAKEN, "json_app"),
    _package("operator", _TAKEN, "operator_app"),
    _package("dataclasses", _TAKEN, "dataclasses_app"),
    _package("email", _TAKEN, "email_app"),
    _package("sqlalchemy", _TAKEN, "sqlalchemy_app", project_name="SQLAlchemy"),
    Rejection(
        "a long package",
        {"package": "a" * 41},
        f"package: '{'a' * 41}' has 41 characters; use at most 40",
    ),
    Rejection(
        "a package that ends in a line break", {"package": "acme\n"}, "is not a valid package name"
    ),
    Rejection("no ORM", {"orm": ""}, "Invalid choice for 'orm'"),
    Rejection(
        "sync sessions with Beanie",
        {"orm": "beanie", "sessions": "both"},
        "Invalid choice for 'sessions': Beanie is async only; choose async",
    ),
    Rejection(
        "sync sessions with Prisma",
        {"orm": "prisma", "sessions": "both"},
        "Invalid choice for 'sessions': async only with Prisma; use sqlalchemy or sqlmodel",
    ),
    Rejection("an unknown starter", {"starter": "shop2"}, "Invalid choice for 'starter'"),
    Rejection("an unknown service", {"ci": "gitlab"}, "Invalid choice for 'ci'"),
    Rejection(
        "a revision that is not a timestamp",
        {"first_revision": "first"},
        "write it as YYYYMMDD_HHMMSS",
    ),
    Rejection(
        "no entities",
        {"entities": {}},
        "entities: must be a mapping with at least one entity, not an empty mapping; "
        "for example, {Item: {fields: {name: {type: string}}}}",
    ),
    Rejection(
        "entities that are a list",
        {"entities": ["Task"]},
        "entities: must be a mapping with at least one entity, not a list; "
        "for example, {Item: {fields: {name: {type: string}}}}",
    ),
    Rejection(
        "two errors in a model",
        {
            "entities": {
                "Task": {
                    "fields": {"title": {"type": "strng"}},
                    "references": {"owner": {"to": "Usr"}},
                },
                "User": {"fields": {"name": {"type": "string"}}},
            }
        },
        "entities.Task.fields.title.type: no type is called 'strng'; did you mean 'string'?\n"
        "entities.Task.references.owner.to: no entity is called 'Usr'; did you mean 'User'?",
    ),
]

# ---- Unusual answers that are valid

ACCEPTED: dict[str, dict[str, Any]] = {
    "a name in quotes": {"project_name": 'It\'s "Acme" \\ {{ 7*7 }} {% raw %} # x', "package": "a"},
    "a name without Latin letters": {"project_name": "漢字 🦊"},
    "a name of digits": {"project_name": "2048"},
    "no description": {"description": ""},
    "a description with everything": {"description": "\"\"\" ''' \\ | ` $HOME <b> {{ x }} é 🦊 */"},
    "a package with a soft keyword": {"package": "match"},
    "a package of maximum length": {"package": "a" * 40},
    "another first revision": {"first_revision": "20270131_120000"},
}
