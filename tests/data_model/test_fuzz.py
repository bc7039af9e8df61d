"""The validator handles any YAML value, accepts valid models, and finds every error."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tests.any_model import SEARCHED, models
from tests.data_model.breaks import Break, breaks_of

HERE = Path(__file__).parent

Errors = Callable[..., list[str]]

LINE = re.compile(r"entities[^\n\r]*?: \S.*\S")

MODELS: list[dict[str, Any]] = [
    yaml.safe_load((HERE / "models" / f"{name}.yml").read_text("utf-8"))["entities"]
    for name in ("types", "organisation", "embedded")
]

WORDS = (
    "User Task Category fields references type to on where why using gin unique index default "
    "values enum string integer decimal array json of owned_by indexes checks rule many_to_many "
    "through inverse optional owner id created_at now items keys get update Table class"
)
words = st.sampled_from(WORDS.split())
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | words
    | st.binary(max_size=5)
    | st.dates()
    | st.datetimes()
    | st.sets(st.integers(), max_size=2)
)
keys = words | st.text(max_size=10) | st.none() | st.booleans() | st.integers() | st.dates()
garbage = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(keys, inner, max_size=4)
        | st.tuples(inner, inner)
    ),
    max_leaves=12,
)

quickly = settings(
    max_examples=SEARCHED or 50,
    derandomize=not SEARCHED,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value inside `value`."""
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    else:
        return []
    found = []
    for key, item in items:
        found += [(*path, key), *places(item, (*path, key))]
    return found


@st.composite
def damaged(draw: st.DrawFn, replacement: st.SearchStrategy[Any]) -> dict[str, Any]:
    """Draw a valid model in which up to three values were deleted, replaced or renamed."""
    model = copy.deepcopy(draw(st.sampled_from(MODELS)))
    model = {name: model[name] for name in list(model)[:4]}
    for _ in range(draw(st.integers(1, 3))):
        *path, last = draw(st.sampled_from(places(model) or [("Task",)]))
        parent: Any = model
        for step in path:
            parent = parent[step]
        what = draw(st.sampled_from(["delete", "replace", "rename"]))
        if what == "rename" and isinstance(parent, dict):
            parent[draw(keys)] = parent.get(last)
        elif what == "delete" and last in parent:
            del parent[last]
        else:
            parent[last] = draw(replacement)
    return model


def is_a_report(lines: list[str]) -> bool:
    """Whether every line has a path and a message."""
    return all(LINE.fullmatch(line) for line in lines)


@quickly
@given(entities=garbage)
def test_any_value_is_reported(entities: Any, errors: Errors) -> None:
    lines = errors(entities)
    assert lines
    assert is_a_report(lines)


@quickly
@given(entity=garbage, other=garbage)
def test_any_entity_is_reported(entity: Any, other: Any, errors: Errors) -> None:
    assert is_a_report(errors({"Task": entity, "User": other}))


@quickly
@given(model=damaged(garbage))
def test_a_damaged_model_is_reported(model: dict[str, Any], errors: Errors) -> None:
    assert is_a_report(errors(model))


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)


@quickly
@given(model=damaged(plain))
def test_the_schema_accepts_every_model_that_the_validator_accepts(
    model: dict[str, Any], errors: Errors, schema_errors: Errors
) -> None:
    if not errors(model):
        assert schema_errors(model) == []


@quickly
@given(database=st.sampled_from(["postgresql", "sqlite", "mongodb"]), data=st.data())
def test_any_valid_model_is_accepted(
    database: str, data: st.DataObject, errors: Errors, schema_errors: Errors
) -> None:
    model = data.draw(models(database))
    orm = "beanie" if database == "mongodb" else "sqlalchemy"
    assert errors(model, orm, database) == []
    assert schema_errors(model) == []


@quickly
@given(broken=models().flatmap(breaks_of))
def test_an_error_is_reported_only_at_its_place(
    broken: Break, errors: Errors, schema_errors: Errors
) -> None:
    note(f"{broken.kind} at {broken.place}")
    lines = errors(broken.entities)
    assert lines
    assert [line for line in lines if not _is_at(broken.place, line)] == []
    if broken.in_schema:
        assert schema_errors(broken.entities)


def _is_at(place: str, line: str) -> bool:
    path = line.split(": ")[0]
    return path == place or path.startswith((f"{place}.", f"{place}["))
