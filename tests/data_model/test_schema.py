"""The schema for editors agrees with the validator, as far as a schema can."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

HERE = Path(__file__).parent
DATA_MODEL = HERE.parents[1] / "data_model"

Errors = Callable[..., list[str]]


def model_with(section: str, part: Any) -> dict[str, Any]:
    """Return a model that is valid except for `part`, in `section` of the entity Task."""
    task: dict[str, Any] = {
        "fields": {
            "size": {"type": "integer"},
            "cost": {"type": "bigint"},
            "body": {"type": "json"},
            "name": {"type": "string"},
            "due": {"type": "date"},
            "when": {"type": "datetime"},
        }
    }
    if section == "field":
        task["fields"]["a"] = part
    elif section == "reference":
        task["references"] = {"a": part}
    elif section == "many_to_many":
        task["many_to_many"] = {"a": part}
    elif section == "check":
        task["checks"] = {"a": part}
    elif section == "index":
        task["indexes"] = [part]
    elif section == "computed":
        task["computed"] = {"a": part}
    else:
        task |= part
    return {
        "Task": task,
        "Tag": {"fields": {"name": {"type": "string"}}},
        "Place": {"embedded": True, "fields": {"city": {"type": "string"}}},
    }


GOOD: dict[str, list[str]] = {
    "entity": [
        "{description: 'Text, {{ 7*7 }}', table: jobs, soft_delete: true, versioned: false}",
        "{owned_by: Tag, checks: {}, indexes: [], many_to_many: {}, references: {}}",
        "{fields: {match: {type: date}, order: {type: date}}}",
        "{embedded: false}",
        "{append_only: true, soft_delete: false, many_to_many: {}}",
        "{was: Job}",
        "{shared: true, access: {read: any, create: none, update: admin, delete: any}}",
        "{owned_by: Tag, shared: false, access: {read: admin, create: owner}, public: [size]}",
        "{principal: false}",
        "{embedded: true, description: Where., fields: {id: {type: uuid}, at: {type: datetime}}}",
        "{embedded: true, fields: {within: {type: array, of: Place, default: []}}}",
    ],
    "field": [
        "{type: string, optional: true, immutable: true, secret: false, unique: false}",
        "{type: string, min_length: 0, max_length: 10000, pattern: '^n', default: now}",
        "{type: string, index: Because.}",
        "{type: string, read_only: true, optional: true}",
        "{type: string, was: nickname, fill: {field: name}}",
        "{type: enum, values: [open, {value: done, was: finished}], fill: open}",
        "{type: text, min_length: 1, max_length: 20000}",
        "{type: integer, ge: -2147483648, lt: 2147483647, default: 0}",
        "{type: bigint, default: 9223372036854775807}",
        "{type: decimal, precision: 38, scale: 0, default: '1'}",
        "{type: decimal, precision: 4, scale: 4, default: 0.5}",
        "{type: float, gt: 0.5, le: 1, default: 1}",
        "{type: boolean, default: false}",
        "{type: date, default: now}",
        "{type: date, default: 2026-01-31}",
        "{type: datetime, default: 2026-01-31T00:00:00Z}",
        "{type: time, default: '09:30'}",
        "{type: uuid, unique: true}",
        "{type: json, default: [1, {a: null}]}",
        "{type: enum, values: ['yes', '1'], default: 'yes'}",
        "{type: email, default: a@example.com}",
        "{type: url, default: 'http://example.com'}",
        "{type: bytes, max_length: 5}",
        "{type: array, of: uuid, default: []}",
        "{type: array, of: Place, optional: true, default: []}",
        "{type: embedded, of: Place}",
        "{type: embedded, of: Place, optional: true, secret: true, immutable: true}",
    ],
    "reference": [
        "{to: Tag}",
        "{to: Tag, optional: true, on_delete: set_null, on_update: cascade, inverse: b}",
        "{to: Tag, unique: true, immutable: true, on_delete: restrict, description: Why.}",
        "{to: Tag, was: label, fill: 7}",
        "{to: Tag, optional: true, read_only: true}",
    ],
    "many_to_many": [
        "{to: Tag}",
        "{to: Tag, through: Label, inverse: b, fields: {c: {type: date, default: now}}}",
        "{to: Tag, fields: {c: {type: enum, values: [x], optional: true}}, description: Why.}",
        "{to: Tag, was: Label, fields: {c: {type: date, default: now, was: d}}}",
    ],
    "check": ["{rule: size < cost, why: Because.}", "{rule: ' size!=cost ', why: Because.}"],
    "computed": [
        "{value: size * cost}",
        "{value: size*cost-1.5, description: What it costs.}",
        "{value: \"name + ': ' + name\"}",
        "{value: due < now}",
    ],
    "index": [
        "{on: [size, -cost], why: Because.}",
        "{'on': size, why: Because., unique: true, where: {cost: null}}",
        "{on: [body], using: gin, where: {size: 1}, why: Because.}",
        "{on: [name, size], using: gist, why: Because.}",
        "{on: name, using: hash, why: Because.}",
        "{on: [name], using: fulltext, why: Because.}",
        "{on: [name], using: trigram, where: {cost: null}, why: Because.}",
        "{on: [size], where: {cost: 5}, why: Because.}",
        "{on: [when], expires_after: 30d, why: Because.}",
        "{on: created_at, expires_after: 0, where: {cost: 5}, why: Because.}",
    ],
}

BAD: dict[str, list[str]] = {
    "computed": [
        "size * cost",
        "{}",
        "{value: size}",
        "{value: 5}",
        "{value: size cost}",
        "{value: size / cost}",
        "{value: (size + cost) * 2}",
        "{value: size * }",
        "{value: size * cost, why: w}",
        "{value: size * cost, description: 5}",
    ],
    "entity": [
        "{was: job}",
        "{description: 5}",
        '{description: "a\\a"}',
        "{table: Jobs}",
        "{table: sqlite_jobs}",
        "{table: alembic_version}",
        "{soft_delete: 'yes'}",
        "{shared: 'yes'}",
        "{shared: true, access: {read: admin}}",
        "{access: admin}",
        "{access: {raed: any}}",
        "{access: {read: all}}",
        "{owned_by: Tag, access: {create: any}}",
        "{public: name}",
        "{public: []}",
        "{public: [name, name]}",
        "{versioned: 1}",
        "{principal: 'yes'}",
        "{principal: {}}",
        "{principal: {active: true}}",
        "{principal: {active: is_active, enabled: true}}",
        "{owned_by: tag}",
        "{owned_by: Tag, fields: {owner: {type: date}}}",
        "{owned_by: Tag, references: {owner: {to: Tag}}}",
        "{fields: {}}",
        "{fields: []}",
        "{fields: {A: {type: date}}}",
        "{fields: {a_: {type: date}}}",
        "{fields: {a__b: {type: date}}}",
        "{fields: {class: {type: date}}}",
        "{fields: {id: {type: date}}}",
        "{fields: {metadata: {type: date}}}",
        "{fields: {model_dump_a: {type: date}}}",
        f"{{fields: {{{'a' * 56}: {{type: date}}}}}}",
        "{references: {a_id: {to: Tag}}}",
        "{checks: {A: {rule: size < cost, why: w}}}",
        f"{{checks: {{{'a' * 41}: {{rule: size < cost, why: w}}}}}}",
        "{indexes: {}}",
        "{many_to_many: null}",
        "{feilds: {}}",
        "{embedded: 1}",
        "{embedded: true, fields: {}}",
        "{embedded: true, soft_delete: false}",
        "{embedded: true, indexes: []}",
        "{embedded: true, fields: {a: {type: string, unique: true}}}",
        "{embedded: true, fields: {a: {type: string, index: w}}}",
        "{embedded: true, fields: {a: {type: string, secret: true}}}",
        "{embedded: true, fields: {a: {type: date, default: now}}}",
        "{embedded: true, fields: {class: {type: date}}}",
    ],
    "field": [
        "{type: string, was: Title}",
        "{type: enum, values: [{value: done}]}",
        "{type: enum, values: [{value: done, was: 5}]}",
        "string",
        "{}",
        "{type: strng}",
        "{type: string, uniqe: true}",
        "{type: string, optional: 'yes'}",
        "{type: string, description: 5}",
        "{type: string, index: true}",
        "{type: string, index: ' '}",
        "{type: string, index: w, unique: true}",
        "{type: string, default: a, unique: true}",
        "{type: string, default: null}",
        "{type: string, default: 5}",
        "{type: string, min_length: -1}",
        "{type: string, max_length: 0}",
        "{type: string, max_length: 10001}",
        "{type: string, max_length: '5'}",
        "{type: string, pattern: ''}",
        "{type: string, ge: 1}",
        "{type: text, unique: true}",
        "{type: text, index: w}",
        "{type: integer, max_length: 1}",
        "{type: integer, ge: 1, gt: 1}",
        "{type: integer, le: 1, lt: 1}",
        "{type: integer, ge: 0.5}",
        "{type: integer, ge: 2147483648}",
        "{type: integer, default: true}",
        "{type: integer, default: 2147483648}",
        "{type: bigint, default: 9223372036854775808}",
        "{type: decimal}",
        "{type: decimal, precision: 39, scale: 1}",
        "{type: decimal, precision: 5, scale: -1}",
        "{type: decimal, precision: 5, scale: 1, default: abc}",
        "{type: float, default: '1'}",
        "{type: float, ge: true}",
        "{type: boolean, default: 'true'}",
        "{type: date, default: tomorrow}",
        "{type: datetime, default: 5}",
        "{type: time, default: now}",
        "{type: time, default: '24:00'}",
        "{type: uuid, default: abc}",
        "{type: json, unique: true}",
        "{type: enum}",
        "{type: enum, values: []}",
        "{type: enum, values: [yes]}",
        "{type: enum, values: [a, a]}",
        "{type: enum, values: ['']}",
        '{type: enum, values: ["a\\nb"]}',
        f"{{type: enum, values: [{'a' * 51}]}}",
        "{type: enum, values: [a], default: 5}",
        "{type: email, default: someone}",
        "{type: url, default: example.com}",
        "{type: bytes, default: a}",
        "{type: array}",
        "{type: array, of: text}",
        "{type: array, of: string, default: [a]}",
        "{type: array, of: string, unique: true}",
        "{type: array, of: place}",
        "{type: embedded}",
        "{type: embedded, of: string}",
        "{type: embedded, of: Place, default: {}}",
        "{type: embedded, of: Place, unique: true}",
        "{type: embedded, of: Place, index: w}",
        "{type: embedded, of: Place, max_length: 5}",
    ],
    "reference": [
        "{to: Tag, was: 5}",
        "{to: Tag, fill: true}",
        "Tag",
        "{}",
        "{to: 5}",
        "{to: tag}",
        "{to: Tag, optional: 1}",
        "{to: Tag, on_delete: set_null}",
        "{to: Tag, on_delete: cascde}",
        "{to: Tag, on_update: set_null, optional: true}",
        "{to: Tag, inverse: Tasks}",
        "{to: Tag, inverse: null}",
        "{to: Tag, index: w}",
    ],
    "many_to_many": [
        "{to: Tag, was: [a]}",
        "{}",
        "{to: Tag, through: label}",
        "{to: Tag, through: Table}",
        "{to: Tag, unique: true}",
        "{to: Tag, fields: {c: {type: date}}}",
        "{to: Tag, fields: {c: {type: text, optional: true}}}",
        "{to: Tag, fields: {C: {type: date, optional: true}}}",
    ],
    "check": [
        "size < cost",
        "{rule: size < cost}",
        "{why: w}",
        "{rule: size = cost, why: w}",
        "{rule: size, why: w}",
        "{rule: size < cost, why: ''}",
        "{rule: size < cost, why: w, because: x}",
    ],
    "index": [
        "{}",
        "{on: [size]}",
        "{why: w}",
        "{on: [], why: w}",
        "{on: [5], why: w}",
        "{on: [size, size], why: w}",
        "{on: [size], why: ' '}",
        "{on: [size], why: w, using: btree}",
        "{on: [size, cost], why: w, using: hash}",
        "{on: [name], why: w, using: hash, unique: true}",
        "{on: [name], why: w, using: fulltext, where: {cost: 5}}",
        "{on: [-name], why: w, using: trigram}",
        "{on: [size], why: w, where: {}}",
        "{on: [size], why: w, where: {cost: [5]}}",
        "{on: [size], why: w, unique: 1}",
        "{on: [-body], why: w, using: gin}",
        "{on: [body], why: w, using: gin, unique: true}",
        "{'on': [size], on: [cost], why: w}",
        "{on: [when], expires_after: -1, why: w}",
        "{on: [when], expires_after: 5 weeks, why: w}",
        "{on: [when], expires_after: true, why: w}",
        "{on: [-when], expires_after: 1d, why: w}",
        "{on: [when, size], expires_after: 1d, why: w}",
        "{on: [body], using: gin, expires_after: 1d, why: w}",
    ],
}


@pytest.mark.parametrize(
    ("section", "text"), [(section, text) for section, texts in GOOD.items() for text in texts]
)
def test_both_accept(section: str, text: str, errors: Errors, schema_errors: Errors) -> None:
    model = model_with(section, yaml.safe_load(text))
    # Only MongoDB supports expiry.
    database = "mongodb" if "expires_after" in text else "postgresql"
    assert errors(model, database=database) == []
    assert schema_errors(model) == []


@pytest.mark.parametrize(
    ("section", "text"), [(section, text) for section, texts in BAD.items() for text in texts]
)
def test_both_reject(section: str, text: str, errors: Errors, schema_errors: Errors) -> None:
    model = model_with(section, yaml.safe_load(text))
    assert errors(model, database="mongodb") != []
    assert schema_errors(model) != []


@pytest.mark.parametrize("entities", [None, {}, [], "User", {"task": {}}, {"None": {}}])
def test_both_reject_invalid_entities(entities: Any, errors: Errors, schema_errors: Errors) -> None:
    assert errors(entities) != []
    assert schema_errors(entities) != []


@pytest.mark.parametrize("path", sorted(HERE.glob("models/*.yml")), ids=lambda path: path.stem)
def test_the_schema_accepts_whole_data_files(
    path: Path, schema: dict[str, Any], schema_errors: Errors
) -> None:
    data = yaml.safe_load(path.read_text("utf-8"))
    assert schema_errors(data.pop("entities")) == []
    Draft202012Validator({**schema, "required": []}).validate(data)


def test_the_schema_is_valid_and_describes_every_key(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)
    definitions = schema["$defs"]
    for name in ("entity", "field", "reference", "manyToMany", "check", "computed", "index"):
        for key, rule in definitions[name]["properties"].items():
            described = rule.get("description") or definitions[rule["$ref"][8:]].get("description")
            assert described, f"{name}.{key}"


def test_the_schema_and_the_language_define_the_same_words(
    schema: dict[str, Any], vocabulary: dict[str, Any]
) -> None:
    definitions = schema["$defs"]
    principal = definitions["entity"]["properties"]["principal"]["anyOf"][1]
    assert [*principal["properties"]] == vocabulary["principal_keys"]
    assert [*definitions["entity"]["properties"]] == [
        "description", "table", "was", "embedded", "owned_by", "shared", "access", "public",
        "principal", "soft_delete", "versioned", "append_only", "fields", "references",
        "many_to_many", "checks", "computed", "indexes",
    ] == vocabulary["entity_keys"]  # fmt: skip
    access = definitions["entity"]["properties"]["access"]["properties"]
    assert [*access] == ["read", "create", "update", "delete"] == vocabulary["access_keys"]
    assert definitions["actor"]["enum"] == ["owner", "any", "admin", "none"]
    assert definitions["actor"]["enum"] == vocabulary["access_words"]
    embedded = definitions["entity"]["allOf"][0]["then"]
    assert embedded["propertyNames"]["enum"] == vocabulary["embedded_keys"]
    inside = embedded["properties"]["fields"]["additionalProperties"]["properties"]
    assert [name for name in inside if name != "default"] == vocabulary["not_in_embedded"]
    assert [*definitions["reference"]["properties"]] == vocabulary["reference_keys"]
    assert {*definitions["manyToMany"]["properties"]} == {*vocabulary["many_to_many_keys"]}
    assert [*definitions["check"]["properties"]] == vocabulary["check_keys"]
    assert [*definitions["computed"]["properties"]] == vocabulary["computed_keys"]
    assert definitions["index"]["properties"]["using"]["enum"] == [*vocabulary["index_methods"]]
    assert {*definitions["index"]["properties"]} == {*vocabulary["index_keys"], "true"}
    assert definitions["field"]["properties"]["type"]["enum"] == vocabulary["type_names"]
    assert [*definitions["field"]["properties"]] == vocabulary["common_options"]
    inner, outer = definitions["memberName"]["allOf"]
    assert inner == {"$ref": "#/$defs/innerName"}
    assert outer["not"]["enum"] == vocabulary["always_there"]
    reserved = definitions["innerName"]["not"]["anyOf"][0]["enum"]
    assert {*reserved} == {
        *(word for word in vocabulary["python_keywords"] if word.islower()),
        *vocabulary["reserved_field_names"],
    }
    assert {*definitions["entityName"]["not"]["enum"]} == {
        *vocabulary["reserved_entity_names"],
        *(word.capitalize() for word in vocabulary["python_keywords"]),
        *(word.title().replace("_", "") for word in vocabulary["reserved_modules"]),
    }


def test_sql_words_are_sorted_and_unique(vocabulary: dict[str, Any]) -> None:
    words = vocabulary["sql_reserved"]
    assert words == sorted({word.lower() for word in words})
    assert {"order", "group", "select", "user", "table", "limit", "default", "check"} < {*words}
