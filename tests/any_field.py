"""Hypothesis strategies that draw any valid field: every type, with every option of that type."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from hypothesis import strategies as st

Field = dict[str, Any]

TEXTS = [
    "x",
    "One thing.",
    'It\'s "quoted" \'\'\'thrice\'\'\' """thrice"""',
    "C:\\new\\table {{ 7*7 }} {% raw %} {# no #}",
    "100% : | done */ --> <!-- // # -- ; $1 ${HOME} `id`",
    "é ü 漢字 🦊",
    "two\nlines\n\n\tand a tab \\",
    " padded ",
]
# Short enough to be the default of most strings.
WORDS = ["", "a", "now", "it's", '"', "\\", ":b", "%s", "{x}", "é", "a b", "null", "x" * 10]

VALUES = [
    *("a", "b", "A", "in-progress", "in progress", "it's", 'say "hi"', "100%", "1", "2nd", "true"),
    *(
        "null",
        "None",
        "class",
        "mro",
        "name",
        "value",
        "é",
        "漢字",
        "-",
        "--",
        " padded ",
        ";",
        "#",
    ),
    *("back\\slash", "{{ 7*7 }}", "a: b", "a|b", ":b", "x" * 50),
]

# Each pattern with a string that it matches. Databases would read those after the gap differently,
# so only the schemas enforce them.
PATTERNS = {
    "^[a-z]+$": "abc",
    "^E[0-9]+$": "E1",
    "^(?:a|b){2,4}$": "abba",
    "[0-9]{3}": "a123b",
    "^[^\"'\\\\]*$": "",
    "^\\d+(\\.\\d{1,2})?$": "1.50",
    "^[A-Z]{2}-[0-9]{3}$": "AB-123",
    ":[a-z]": ":b",
    "^.{1,5}$": "abc",
    #
    "^\\w+$": "é",
    "^\\S+\\s\\S+$": "a b",
    "^(?i:a|b)+$": "Ab",
    "^[\\w.-]+$": "a.é",
}

UUID = "018F3C5E-7B1A-7c3d-9e4f-5a6b7c8d9e0f"
DAYS = [date(2026, 1, 31), "2028-02-29", "1999-12-31", "now"]
TIMESTAMPS = [
    *("now", "2026-01-31", "2026-01-31T12:00", "2026-01-31 12:00:00+02:00"),
    *("2026-01-31T12:00:00.5Z", "2026-01-31T23:59:59.999999-11:30"),
    *(date(2026, 1, 31), datetime(2026, 1, 31, 12, 0), datetime(2026, 1, 31, 12, 0, tzinfo=UTC)),
]
TIMES = ["09:30", "09:30:00", "23:59:59.999999"]
DOCUMENTS: list[Any] = [
    *({}, [], "now", "it's :b %s", False, 0, -1.5, 2**63 - 1),
    *([1, "two", {"three": None}], {"": [], "it's": '"x" \\ {{ 1 }}', "a": {"b": [[]]}}),
]
ITEMS = ["string", "integer", "bigint", "float", "boolean", "uuid", "date", "datetime"]

RANGES = {"integer": 2**31, "bigint": 2**63}

LENGTHS = {"string": [1, 2, 10, 20, 255, 10_000], "text": [1, 20, 100_000], "bytes": [1, 16, 1024]}


@st.composite
def fields(draw: st.DrawFn, types: list[str], database: str) -> Field:
    """Draw a field of one of the types."""
    kind = draw(st.sampled_from(types))
    field: Field = {"type": kind, **draw(_SPECIAL.get(kind, _nothing)(kind, database))}
    for flag in ("optional", "secret", "immutable", "read_only"):
        if draw(_seldom):
            field[flag] = draw(st.booleans())
    if kind not in ("json", "array", "text", "bytes"):
        place = draw(st.sampled_from(["", "", "", "unique", "index"]))
        if place:
            field[place] = True if place == "unique" else draw(st.sampled_from(TEXTS))
    if draw(_seldom):
        field["description"] = draw(st.sampled_from(TEXTS))
    if draw(_often) and not field.get("unique") and (choices := fitting_values(field)):
        field["default"] = draw(st.sampled_from(choices))
    return settable(field)


def settable(field: Field) -> Field:
    """Return the field; optional if clients could not create a record without it."""
    if field.get("read_only") and "default" not in field:
        return field | {"optional": True}
    return field


def fitting_values(field: Field) -> list[Any]:
    """Return some of the values that a default or a condition can have."""
    match field["type"]:
        case "string" | "text" | "email" | "url":
            return _texts(field)
        case "integer" | "bigint" | "float" | "decimal":
            return _numbers(field)
        case "enum":
            return list(field["values"])
        case "boolean":
            return [True, False]
        case "date":
            return DAYS
        case "datetime":
            return TIMESTAMPS
        case "time":
            return list(TIMES)
        case "uuid":
            return [UUID, UUID.lower()]
        case "json":
            return DOCUMENTS
        case "array":
            return [[]]
    return []


def _texts(field: Field) -> list[str]:
    if "pattern" in field:
        texts = [PATTERNS[field["pattern"]]]
    elif field["type"] == "email":
        texts = ["someone@example.com", "o'hara+x@example.com"]
    elif field["type"] == "url":
        texts = ["https://example.com/", "https://example.com/?a='\"&b={{1}}%20\\"]
    else:
        texts = WORDS
    low, high = field.get("min_length", 0), field.get("max_length", 200)
    return [text for text in texts if low <= len(text) <= high]


def _numbers(field: Field) -> list[Any]:
    """Return numbers within the bounds; for a decimal also as text, which is exact."""
    bounds = [field[bound] for bound in ("ge", "gt", "le", "lt") if bound in field]
    whole = field["type"] in RANGES
    tried = {
        0,
        1,
        9,
        -1,
        *bounds,
        *(bound + 1 for bound in bounds),
        *(bound - 1 for bound in bounds),
    }
    limit = RANGES.get(field["type"])
    if limit:
        tried |= {limit - 1, -limit}
    kept = [
        number
        for number in sorted(tried)
        if _is_inside(number, field) and (not limit or -limit <= number < limit)
    ]
    if field["type"] == "float":
        return kept + [number for number in (0.5, -1.5e300) if _is_inside(number, field)]
    if whole:
        return kept
    most = 10 ** (field["precision"] - field["scale"])
    exact = [number for number in kept if abs(number) < most and number == int(number)]
    digits = f".{'0' * (field['scale'] - 1)}5" if field["scale"] else ""
    return exact + [
        f"{int(number)}{digits}"
        for number in exact
        if _is_inside(number + 1, field) and number >= 0
    ]


def _is_inside(number: Any, field: Field) -> bool:
    return bool(
        number >= field.get("ge", number)
        and number > field.get("gt", number - 1)
        and number <= field.get("le", number)
        and number < field.get("lt", number + 1)
    )


_seldom = st.integers(0, 4).map(lambda number: number == 4)
_often = st.booleans()


def _nothing(_: str, __: str) -> st.SearchStrategy[Field]:
    return st.just({})


@st.composite
def _lengths(draw: st.DrawFn, kind: str, _: str) -> Field:
    field: Field = {}
    # A pattern can contradict a length, which the validator cannot detect.
    if kind != "bytes" and draw(_seldom):
        field["pattern"] = draw(st.sampled_from(list(PATTERNS)))
        return field | ({"max_length": 300} if draw(_often) else {})
    if draw(_often):
        field["max_length"] = draw(st.sampled_from(LENGTHS[kind]))
    if draw(_seldom):
        field["min_length"] = draw(st.integers(0, min(field.get("max_length", 10), 30)))
    return field


@st.composite
def _address_lengths(draw: st.DrawFn, kind: str, _: str) -> Field:
    # Sample addresses do not fit into shorter fields.
    field: Field = {"max_length": draw(st.sampled_from([100, 254]))} if draw(_seldom) else {}
    return field | ({"min_length": draw(st.integers(0, 8))} if draw(_seldom) else {})


@st.composite
def _bounds(draw: st.DrawFn, kind: str, _: str) -> Field:
    """Draw bounds that allow only a few values, or more than there are sample records."""
    limit = RANGES.get(kind, 10**9)
    low: float = draw(st.sampled_from([0, 1, -5, -1000, -limit, limit - 2000]))
    room = draw(st.sampled_from([20, 1000, 1999]))
    if kind == "float":
        low += draw(st.sampled_from([0, 0.5]))
    elif draw(_seldom):
        return {"ge": low, "le": low + draw(st.integers(0, 2))}
    return draw(_some_of(low, low + room))


@st.composite
def _some_of(draw: st.DrawFn, low: Any, high: Any) -> Field:
    field: Field = {}
    if draw(_often):
        field[draw(st.sampled_from(["ge", "gt"]))] = low
    if draw(_often):
        field[draw(st.sampled_from(["le", "lt"]))] = high
    return field


@st.composite
def _digits(draw: st.DrawFn, kind: str, database: str) -> Field:
    precision = draw(st.integers(1, {"sqlite": 18, "mongodb": 34}.get(database, 38)))
    scale = draw(st.integers(0, precision))
    field: Field = {"precision": precision, "scale": scale}
    most = 10 ** (precision - scale) - 1
    if most >= 9 and draw(_often):
        low = draw(st.sampled_from([0, 1, -most, -1]))
        high = draw(st.sampled_from([low + 5, max(most, low + 5)]))
        field |= draw(_some_of(low + (0.5 if scale and draw(_often) else 0), min(high, most)))
    return field


@st.composite
def _enum(draw: st.DrawFn, kind: str, _: str) -> Field:
    return {"values": draw(st.lists(st.sampled_from(VALUES), min_size=1, max_size=6, unique=True))}


@st.composite
def _array(draw: st.DrawFn, kind: str, _: str) -> Field:
    return {"of": draw(st.sampled_from(ITEMS))}


_SPECIAL: dict[str, Callable[[str, str], st.SearchStrategy[Field]]] = {
    **dict.fromkeys(("string", "text", "bytes"), _lengths),
    **dict.fromkeys(("email", "url"), _address_lengths),
    **dict.fromkeys(("integer", "bigint", "float"), _bounds),
    "decimal": _digits,
    "enum": _enum,
    "array": _array,
}
