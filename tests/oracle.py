"""What may be combined and what must be refused, said without looking at the template.

A case fails when an invalid combination generates, when a valid one is refused, and when one is
refused for a reason that is not predicted here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

# ---- What is offered

CHOICES: dict[str, list[Any]] = {
    "orm": ["sqlalchemy", "sqlmodel", "beanie"],
    "database": ["postgresql", "neon", "mysql", "sqlite", "mongodb"],
    "primary_key": ["integer", "uuid4", "uuid7", "objectid"],
    "sessions": ["async", "both"],
    "api": [True, False],
    "ci": ["github", "none"],
    "starter": ["tasks", "shop", "blog", "saas", "chinook", "blank"],
}

# What each ORM can reach, and with which keys.
SUPPORTED = {
    orm: {
        database: {"integer", "uuid4", "uuid7"}
        for database in ("postgresql", "neon", "mysql", "sqlite")
    }
    for orm in ("sqlalchemy", "sqlmodel")
} | {"beanie": {"mongodb": {"objectid", "uuid4", "uuid7"}}}

# Everything that somebody might ask for.
ORMS = ["sqlalchemy", "sqlmodel", "beanie", "prisma", "prisma-typescript", "django"]
DATABASES = ["postgresql", "neon", "mysql", "sqlite", "mongodb", "oracle"]
PRIMARY_KEYS = ["integer", "uuid4", "uuid7", "objectid"]

# What people ask for that cannot go together, each with the advice that they get.
_CHOOSE_MONGODB = "choose the database mongodb, or the ORM sqlalchemy or sqlmodel"
_CHOOSE_SQL = "choose the ORM beanie, or the database postgresql, neon, mysql or sqlite"
_NO_COUNTED_KEYS = "MongoDB does not count keys; choose uuid7, uuid4 or objectid"
_NO_OBJECT_IDS = (
    "an ObjectId is a key of MongoDB, which the ORM beanie is for; "
    "choose uuid7, which is ordered by time as well, uuid4 or integer"
)


def refusal(orm: str, database: str, primary_key: str) -> tuple[str, str] | None:
    """The question whose answer is refused, and what is said; None for a triple that works."""
    if orm not in SUPPORTED:
        return "orm", f"'{orm}' is not in"
    if database not in SUPPORTED[orm]:
        if database not in CHOICES["database"]:
            return "database", f"'{database}' is not in"
        return "database", _CHOOSE_MONGODB if orm == "beanie" else _CHOOSE_SQL
    if primary_key not in SUPPORTED[orm][database]:
        return "primary_key", _NO_COUNTED_KEYS if orm == "beanie" else _NO_OBJECT_IDS
    return None


# Every database with each ORM that reaches it.
PAIRS = [(orm, database) for orm, databases in SUPPORTED.items() for database in databases]


def kept_by(orm: str, database: str, answers: Mapping[str, Any]) -> dict[str, Any]:
    """The same answers, kept elsewhere; with the key of that place, if it has not that one."""
    key = answers.get("primary_key", "uuid7")
    key = key if key in SUPPORTED[orm][database] else "objectid"
    return {**answers, "orm": orm, "database": database, "primary_key": key}


def possible(answers: Mapping[str, Any]) -> bool:
    """Whether a project can be made with these answers."""
    triple = {name: answers[name] for name in ("orm", "database", "primary_key")}
    return refusal(**triple) is None and answers["sessions"] in SESSIONS[answers["orm"]]


def _combine(questions: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(questions, answers, strict=True)) for answers in product(*questions.values())]


def _in_turn(answers: list[Any], turn: int) -> Any:
    return answers[turn % len(answers)]


ASKED = _combine({"orm": ORMS, "database": DATABASES, "primary_key": PRIMARY_KEYS})
TRIPLES = [triple for triple in ASKED if refusal(**triple) is None]
# PyMongo's driver for Beanie is the async one.
SESSIONS = {orm: ["async"] if orm == "beanie" else CHOICES["sessions"] for orm in SUPPORTED}
SWITCHES = _combine({name: CHOICES[name] for name in ("api", "ci")})
# With this one, everything is rendered. The other starters are data: each goes with every triple,
# and takes the switches in turn, so that it meets every answer of every question. Sessions take
# turns everywhere: the sync ones are the async ones without `await`, whatever else is chosen.
WHOLE = {"tasks"}
COMBINATIONS = [
    triple
    | {"sessions": _in_turn(SESSIONS[triple["orm"]], turn // 2 + place)}
    | switches
    | {"starter": starter}
    for turn, triple in enumerate(TRIPLES)
    for place, switches in enumerate(SWITCHES)
    for offset, starter in enumerate(CHOICES["starter"])
    if starter in WHOLE or place == (turn + offset) % len(SWITCHES)
]


def in_turn(database: str, turn: int) -> dict[str, Any]:
    """Answers for a project on this database: its ORMs and their keys take turns."""
    orm = _in_turn([orm for orm in SUPPORTED if database in SUPPORTED[orm]], turn)
    keys = [key for key in CHOICES["primary_key"] if key in SUPPORTED[orm][database]]
    return {"orm": orm, "database": database, "primary_key": _in_turn(keys, turn)}


def label(answers: Mapping[str, Any]) -> str:
    """A name for a case: sqlalchemy-sqlite-uuid7-api-none-blank."""
    return "-".join(
        ("api" if answer else "layer") if name == "api" else str(answer)
        for name, answer in answers.items()
    )


# ---- What is refused, whatever is chosen


@dataclass(frozen=True)
class Refusal:
    """Answers that cannot be, and the end of the sentence that must say why."""

    when: str
    answers: Mapping[str, Any]
    reason: str


_NOT_A_NAME = "is not a package name; use lower-case letters, digits and underscores, for example"
_TAKEN = "is the name of something that the project imports; choose another, for example"


def _package(name: str, reason: str, better: str, **answers: Any) -> Refusal:
    shown = f'"{name}"' if reason == _NOT_A_NAME else f"'{name}'"
    given = answers or {"package": name}
    return Refusal(f"package {name!r}", given, f"package: {shown} {reason} '{better}'")


REFUSALS = [
    Refusal(
        "no name", {"project_name": ""}, "project_name: it is empty; write a name such as Acme"
    ),
    Refusal(
        "a blank name",
        {"project_name": "  "},
        "project_name: it is empty; write a name such as Acme",
    ),
    Refusal(
        "a name of two lines",
        {"project_name": "Acme\nimport os"},
        "project_name: it has a line break or another control character; write it on one line",
    ),
    Refusal(
        "a name that is turned around",
        {"project_name": "Acme \u202eemca"},
        "project_name: it has a line break or another control character; write it on one line",
    ),
    Refusal(
        "a long name",
        {"project_name": "a" * 81},
        "project_name: it has 81 characters; write at most 80",
    ),
    Refusal(
        "a description of two lines",
        {"description": "One.\nTwo."},
        "description: it has a line break or another control character; write it on one line",
    ),
    Refusal(
        "a long description",
        {"description": "a" * 301},
        "description: it has 301 characters; write at most 300",
    ),
    _package("my-package", _NOT_A_NAME, "my_package"),
    _package("Acme", _NOT_A_NAME, "acme"),
    _package("1st", _NOT_A_NAME, "app_1st"),
    _package("../escape", _NOT_A_NAME, "escape"),
    _package("", _NOT_A_NAME, "app"),
    _package("class", _TAKEN, "class_app"),
    _package("sqlalchemy", _TAKEN, "sqlalchemy_app"),
    _package("sqlmodel", _TAKEN, "sqlmodel_app"),
    _package("uvicorn", _TAKEN, "uvicorn_app"),
    _package("tests", _TAKEN, "tests_app"),
    _package("migrations", _TAKEN, "migrations_app"),
    _package("json", _TAKEN, "json_app"),
    _package("operator", _TAKEN, "operator_app"),
    _package("dataclasses", _TAKEN, "dataclasses_app"),
    _package("email", _TAKEN, "email_app"),
    _package("sqlalchemy", _TAKEN, "sqlalchemy_app", project_name="SQLAlchemy"),
    Refusal(
        "a long package",
        {"package": "a" * 41},
        f"package: '{'a' * 41}' has 41 characters; write at most 40",
    ),
    Refusal("a package that ends in a line break", {"package": "acme\n"}, "is not a package name"),
    Refusal("no ORM", {"orm": ""}, "Invalid choice for 'orm'"),
    Refusal(
        "sync sessions where there are none",
        {"orm": "beanie", "sessions": "both"},
        "Invalid choice for 'sessions': Beanie is async only; "
        "choose async, and wait for it in a script with asyncio.run",
    ),
    Refusal("an unknown starter", {"starter": "shop2"}, "Invalid choice for 'starter'"),
    Refusal("an unknown service", {"ci": "gitlab"}, "Invalid choice for 'ci'"),
    Refusal(
        "a revision that is no timestamp",
        {"first_revision": "first"},
        "write it as YYYYMMDD_HHMMSS",
    ),
    Refusal(
        "no entities",
        {"entities": {}},
        "entities: must be a mapping of at least one entity, not an empty one; "
        "write for example {Item: {fields: {name: {type: string}}}}",
    ),
    Refusal(
        "entities that are a list",
        {"entities": ["Task"]},
        "entities: must be a mapping of at least one entity, not a list; "
        "write for example {Item: {fields: {name: {type: string}}}}",
    ),
    Refusal(
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

# ---- What is unusual, and right

ACCEPTED: dict[str, dict[str, Any]] = {
    "a name in quotes": {"project_name": 'It\'s "Acme" \\ {{ 7*7 }} {% raw %} # x', "package": "a"},
    "a name without Latin letters": {"project_name": "漢字 🦊"},
    "a name of digits": {"project_name": "2048"},
    "no description": {"description": ""},
    "a description with everything": {"description": "\"\"\" ''' \\ | ` $HOME <b> {{ x }} é 🦊 */"},
    "a package with a soft keyword": {"package": "match"},
    "a package as long as can be": {"package": "a" * 40},
    "another first revision": {"first_revision": "20270131_120000"},
}
