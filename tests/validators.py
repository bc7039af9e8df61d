"""What the first migration of a project tells MongoDB to refuse."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

Properties = dict[str, dict[str, Any]]


def properties(project: Mapping[str, str]) -> dict[str, Properties]:
    """What is asked of each field, of each collection of a project of `{path: text}`."""
    [migration] = [text for path, text in project.items() if path.startswith("migrations/versions")]
    return {
        _value(call.args[1]): dict(_asked(call))
        for call in ast.walk(ast.parse(migration))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "create_collection"
    }


def types(asked: Mapping[str, Any]) -> set[str]:
    """The BSON types that a field may have, beside null; none where it may have any."""
    if "enum" in asked:
        return {"string"}
    named = asked.get("bsonType", [])
    return {*([named] if isinstance(named, str) else named)} - {"null"}


def _asked(call: ast.Call) -> Iterator[tuple[str, dict[str, Any]]]:
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
    """A literal; of what is made by a call, such as a Decimal128, its text."""
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
