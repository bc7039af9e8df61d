"""The validators in the first migration of a MongoDB project."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

Properties = dict[str, dict[str, Any]]


def properties(project: Mapping[str, str]) -> dict[str, Properties]:
    """Return the rules of each field by collection, for a project of `{path: text}`."""
    [migration] = [text for path, text in project.items() if path.startswith("migrations/versions")]
    return {
        _value(call.args[1]): dict(_rules(call))
        for call in ast.walk(ast.parse(migration))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "create_collection"
    }


def types(rules: Mapping[str, Any]) -> set[str]:
    """Return the BSON types of a field other than null; an empty set if any type is valid."""
    if "enum" in rules:
        return {"string"}
    named = rules.get("bsonType", [])
    return {*([named] if isinstance(named, str) else named)} - {"null"}


def _rules(call: ast.Call) -> Iterator[tuple[str, dict[str, Any]]]:
    for found in ast.walk(call):
        if isinstance(found, ast.Dict):
            for name, value in zip(found.keys, found.values, strict=True):
                if (
                    name is not None
                    and _value(name) == "properties"
                    and isinstance(value, ast.Dict)
                ):
                    yield from _value(value).items()
                    return


def _value(node: ast.expr) -> Any:
    """Return a literal; for a call such as Decimal128, its argument."""
    match node:
        case ast.Dict():
            pairs = zip(node.keys, node.values, strict=True)
            return {_value(key): _value(value) for key, value in pairs if key is not None}
        case ast.List():
            return [_value(item) for item in node.elts]
        case ast.Call():
            return _value(node.args[0])
        case _:
            return ast.literal_eval(node)
