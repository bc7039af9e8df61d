"""Ways to break a valid model in one place, and the path that the error must have."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

Entities = dict[str, Any]


@dataclass(frozen=True)
class Break:
    """A model with one error."""

    #: The kind of error.
    kind: str
    #: The path of the error in the report.
    place: str
    #: The model with the error.
    entities: Entities
    #: Whether the JSON schema, which sees one place at a time, can find it.
    in_schema: bool


# A change: the kind of error, the path to a mapping, a key in it and its new value; whether the
# schema can find it; and the path in the report, if it is not the key.
Cut = tuple[str, tuple[Any, ...], Any, Any, bool] | tuple[str, tuple[Any, ...], Any, Any, bool, str]

ABSENT = object()

_NOT_TEXT: list[Any] = [1, True, None, [], {}]
_NOT_A_FLAG: list[Any] = [1, "yes", None, []]


def breaks_of(entities: Entities) -> st.SearchStrategy[Break]:
    """Draw any way to break this model."""
    cuts = [cut for find in FINDERS for cut in find(entities)]
    kinds = sorted({cut[0] for cut in cuts})
    # Draw the kind first, as some kinds have many more places than others.
    return st.sampled_from(kinds).flatmap(
        lambda kind: st.sampled_from([cut for cut in cuts if cut[0] == kind]).map(
            lambda cut: _broken(entities, cut)
        )
    )


def _broken(entities: Entities, cut: Cut) -> Break:
    kind, path, key, value, in_schema, *rest = cut
    broken = copy.deepcopy(entities)
    parent: Any = broken
    for step in path:
        parent = parent.setdefault(step, {}) if isinstance(parent, dict) else parent[step]
    if value is ABSENT:
        del parent[key]
        place = _path(path)
    else:
        parent[key] = value
        place = _path((*path, key))
    if rest:
        place = rest[0]
    return Break(kind, place, broken, in_schema)


def _path(steps: tuple[Any, ...]) -> str:
    path = "entities"
    for step in steps:
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
    return path


def _fields(entities: Entities) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    for name, entity in entities.items():
        for member, field in entity.get("fields", {}).items():
            yield (name, "fields", member), field
        for relation, link in entity.get("many_to_many", {}).items():
            for member, field in link.get("fields", {}).items():
                yield (name, "many_to_many", relation, "fields", member), field


def _with_records(entities: Entities) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((name, entity) for name, entity in entities.items() if not entity.get("embedded"))


def _embedded(entities: Entities) -> list[str]:
    return [name for name, entity in entities.items() if entity.get("embedded")]


def _parts(entities: Entities, section: str) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    for name, entity in entities.items():
        content = entity.get(section, {})
        for key in range(len(content)) if isinstance(content, list) else content:
            yield (name, section, key), content[key]


def unknown_keys(entities: Entities) -> Iterator[Cut]:
    """Unknown keys, in every mapping that has keys."""
    for name in entities:
        yield "unknown key", (name,), "feilds", {}, True
    for section in ("references", "many_to_many", "checks", "computed", "indexes"):
        for path, _ in _parts(entities, section):
            yield "unknown key", path, "xyzzy", 1, True
    for path, _ in _fields(entities):
        yield "unknown option", path, "xyzzy", 1, True


def wrong_kinds(entities: Entities) -> Iterator[Cut]:
    """Values of the wrong type, such as a number for a flag."""
    for name, entity in _with_records(entities):
        for flag in ("soft_delete", "versioned", "append_only"):
            # Disabling a flag would also remove its field from the indexes.
            if not entity.get(flag):
                for value in _NOT_A_FLAG:
                    yield "not a flag", (name,), flag, value, True
        for value in (None, "x", 3, []):
            yield "not a mapping", (name,), "checks", value, True
        for value in _NOT_TEXT:
            yield "not text", (name,), "description", value, True
    for path, _ in _fields(entities):
        for value in _NOT_A_FLAG:
            yield "not a flag", path, "immutable", value, True
            yield "not a flag", path, "read_only", value, True
        for value in _NOT_TEXT:
            yield "not text", path, "description", value, True
    for path, reference in _parts(entities, "references"):
        yield "not a flag", path, "immutable", "yes", True
        yield "invalid choice", path, "on_update", "set_null", True
        if not reference.get("optional"):
            yield "set_null of a required reference", path, "on_delete", "set_null", False


def wrong_names(entities: Entities) -> Iterator[Cut]:
    """Members whose name is invalid or already used."""
    field = {"type": "boolean"}
    for name, entity in _with_records(entities):
        for member in ("Title", "two__scores", "class", "id", "registry", "model_fields", "x" * 56):
            yield "invalid name", (name, "fields"), member, field, True
        for reference in entity.get("references", {}):
            at = _path((name, "references", reference))
            yield "taken name", (name, "fields"), f"{reference}_id", field, False, at
        if "owned_by" in entity:
            yield "taken name", (name, "fields"), "owner", field, False
        for member in ("Id", "class", "category_id"):
            reference = {"to": name, "optional": True}
            yield "invalid name", (name, "references"), member, reference, True
        for table in ("Task", "", "x" * 61, "alembic_version", "sqlite_x"):
            yield "invalid table", (name,), "table", table, True


def wrong_targets(entities: Entities) -> Iterator[Cut]:
    """Relations to entities that do not exist, or that cannot be created first."""
    for section in ("references", "many_to_many"):
        for path, _ in _parts(entities, section):
            yield "unknown entity", (*path,), "to", "Unknown", False
            yield "unknown entity", (*path,), "to", 7, True
            yield "missing to", path, "to", ABSENT, True
    for name, entity in _with_records(entities):
        yield "unknown entity", (name, "references"), "mistaken", {"to": name}, False
        if "owned_by" not in entity and entity.get("access", {}).get("create") != "any":
            yield "invalid owner", (name,), "owned_by", name, False


def wrong_types(entities: Entities) -> Iterator[Cut]:
    """Missing options, and options that a type does not support."""
    for path, field in _fields(entities):
        kind = field["type"]
        for option in {
            "decimal": ("precision", "scale"),
            "enum": ("values",),
            "array": ("of",),
            "embedded": ("of",),
        }.get(kind, ()):
            yield "missing option", path, option, ABSENT, True
        for option, value, takers in _OPTIONS:
            if kind not in takers:
                yield "option of another type", path, option, value, True
        if kind in ("json", "array", "text", "bytes", "embedded"):
            if "default" not in field:
                yield "not unique", path, "unique", True, False
            yield "not indexed", path, "index", "Why.", False


LENGTHS = ("string", "text", "bytes")
_NUMBERS = ("integer", "bigint", "decimal", "float")
_OPTIONS: list[tuple[str, Any, tuple[str, ...]]] = [
    ("pattern", "^a$", ("string", "text")),
    ("max_length", 9, ("string", "text", "email", "url", "bytes")),
    ("ge", 1, _NUMBERS),
    ("precision", 9, ("decimal",)),
    ("values", ["a"], ("enum",)),
    ("of", "string", ("array", "embedded")),
]


def wrong_bounds(entities: Entities) -> Iterator[Cut]:
    """Numbers out of range, and bounds that no value satisfies."""
    # A condition could contain a value that the field no longer allows.
    conditions = {
        name for _, index in _parts(entities, "indexes") for name in index.get("where", {})
    }
    for path, field in _fields(entities):
        kind = field["type"]
        rest = {option: value for option, value in field.items() if option != "default"}
        if kind in _NUMBERS and path[-1] not in conditions:
            empty = {**rest, "ge": 5, "le": 4}
            for option in ("gt", "lt"):
                empty.pop(option, None)
            yield "empty range", path[:-1], path[-1], empty, False, _path((*path, "le"))
            if not {"gt", "ge"} & set(field):
                for value in ("1", None, True):
                    yield "not a number", path, "gt", value, True
        if kind == "integer" and "lt" not in field and "default" not in field:
            yield "beyond the type", path, "le", 2**31, False
        if kind == "decimal":
            for digits in (39, "9", 1.5):
                yield "invalid digits", path, "precision", digits, True
        if kind in LENGTHS and not {"min_length", "default"} & set(field) | {path[-1]} & conditions:
            yield "invalid length", path, "max_length", 0, True
        if kind in ("string", "text"):
            for value in ("[a", "(a", "a\\", "*a", ""):
                yield "invalid pattern", path, "pattern", value, value == ""


_MISFITS: dict[str, list[Any]] = {
    "integer": ["1", 1.5, 2**31, True],
    "bigint": ["1", 2**63],
    "decimal": ["1e3", "x", True, []],
    "float": ["1.0", True],
    "boolean": ["true", 1, "now"],
    "date": ["2026-02-30", "soon", 5],
    "datetime": ["2026-01-31T25:00", "soon", 5],
    "time": ["now", "25:00", 570],
    "uuid": ["x", 5],
    "string": [5, True, "a\x00"],
    "text": [5, True],
    "email": ["someone", 5],
    "url": ["example.com", 5],
    "enum": ["no such value", 5],
    "array": [["a"], "a", {}],
    "bytes": ["a", 1],
    "embedded": ["a", {}],
}


def wrong_defaults(entities: Entities) -> Iterator[Cut]:
    """Defaults that do not fit their field."""
    for path, field in _fields(entities):
        if field.get("unique"):
            yield "default of a unique field", path, "default", 1, False
            continue
        for value in [None, *_MISFITS.get(field["type"], [])]:
            yield "misfit default", path, "default", value, value is None


def wrong_rules(entities: Entities) -> Iterator[Cut]:
    """Checks of unknown or incomparable fields, and checks without a reason."""
    for name, entity in _with_records(entities):
        own = list(entity.get("fields", {}))
        rules = ["", "a", f"{own[0]} > nothing_there", f"{own[0]} = x", f"{own[0]} > {own[0]}", 5]
        uncompared = [member for member, each in entity["fields"].items() if each["type"] == "json"]
        rules += [f"{member} > {own[0]}" for member in uncompared]
        for rule in rules:
            at = _path((name, "checks", "mistaken", "rule"))
            body = {"rule": rule, "why": "Why."}
            yield "invalid rule", (name, "checks"), "mistaken", body, rule == 5, at
    for path, _ in _parts(entities, "checks"):
        yield "missing reason", path, "why", ABSENT, True
        yield "blank reason", path, "why", " ", True
        yield "missing rule", path, "rule", ABSENT, True


def wrong_values(entities: Entities) -> Iterator[Cut]:
    """Computed fields that use unknown, secret or incompatible fields."""
    for name, entity in _with_records(entities):
        values = ["", "a", "1 + 2", "nothing_there + 1", "a +", 5]
        secret = [member for member, each in entity["fields"].items() if each.get("secret")]
        values += [f"{member} + {member}" for member in secret]
        for value in values:
            at = _path((name, "computed", "mistaken", "value"))
            yield "invalid value", (name, "computed"), "mistaken", {"value": value}, value == 5, at
        yield "missing value", (name, "computed"), "mistaken", {"description": "x"}, True


def wrong_indexes(entities: Entities) -> Iterator[Cut]:
    """Indexes of unknown fields or types that cannot be indexed, and unknown methods."""
    for path, index in _parts(entities, "indexes"):
        name = path[0]
        fields = entities[name]["fields"]
        yield "missing reason", path, "why", ABSENT, True
        yield "blank reason", path, "why", "", True
        yield "missing fields", path, "on", ABSENT, True
        for on in _INVALID_ON:
            yield "invalid fields", path, "on", on, on in ([], {}, [5])
        if "using" in index:
            yield "not unique", path, "unique", True, False, _path((*path, "using"))
        else:
            yield "unknown method", path, "using", "btree", True
        if index.get("using") == "fulltext":
            # A fulltext index takes no condition, which would be a second error.
            continue
        for where in _INVALID_WHERE:
            yield "invalid condition", path, "where", where, True
        path = (*path, "where")
        yield "unknown field", path, "nothing_there", 1, False
        for member, field in fields.items():
            if misfits := _MISFITS.get(field["type"]):
                yield "misfit condition", path, member, misfits[0], False


def wrong_embedding(entities: Entities) -> Iterator[Cut]:
    """Embedded entities that contain themselves, or are used like records."""
    for name in _embedded(entities):
        for key, value in (("soft_delete", True), ("table", "t"), ("indexes", []), ("checks", {})):
            yield "embedded target", (name,), key, value, True
        for key, value in (("unique", True), ("index", "Why."), ("secret", True)):
            at = _path((name, "fields", "mistaken", key))
            field = {"type": "boolean", key: value}
            yield "option of a stored field", (name, "fields"), "mistaken", field, True, at
        circle = {"type": "array", "of": name}
        at = _path((name, "fields", "mistaken", "of"))
        if not any(_contains(entities, other, name) for other in _embedded(entities)):
            yield "contains itself", (name, "fields"), "mistaken", circle, False, at
        for other, _ in _with_records(entities):
            at = _path((other, "references", "mistaken", "to"))
            yield "embedded target", (other, "references"), "mistaken", {"to": name}, False, at
    for path, field in _fields(entities):
        if field["type"] == "embedded":
            yield "unknown entity", path, "of", "Unknown", False
            yield "unknown entity", path, "of", "string", True


def _contains(entities: Entities, name: str, other: str) -> bool:
    return any(field.get("of") == other for field in entities[name]["fields"].values())


_INVALID_ON: list[Any] = [[], {}, [5], ["nothing_there"], ["id", "id"]]
_INVALID_WHERE: list[Any] = [{}, [], "x"]

FINDERS: list[Callable[[Entities], Iterator[Cut]]] = [
    unknown_keys,
    wrong_kinds,
    wrong_names,
    wrong_targets,
    wrong_types,
    wrong_bounds,
    wrong_defaults,
    wrong_rules,
    wrong_values,
    wrong_indexes,
    wrong_embedding,
]
