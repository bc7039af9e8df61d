"""Every statement that the repositories of a project build, as MySQL is told them.

    python mysql_statements.py

It runs in the project's folder, and asks no server. Prints a statement a line.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

from sqlalchemy.dialects.mysql.aiomysql import MySQLDialect_aiomysql

[PACKAGE] = [path.parent.name for path in Path("src").glob("*/cli.py")]


def module(name: str) -> Any:
    """A module of the project."""
    return importlib.import_module(f"{PACKAGE}.{name}")


def of_rows(model: Any, owner: str | None, repository: Any) -> Iterator[Any]:
    """The statements of one repository, but for those of its relations."""
    statements = module("repositories.statements")
    base = module("models.base")
    yield statements.select_one(model, owner)
    yield statements.insert_one(model)
    yield statements.delete_one(model, owner)
    fields = tuple(sorted(module("schemas").__dict__[f"{model.__name__}Update"].model_fields))
    for versioned in {False, issubclass(model, base.Versioned)}:
        yield statements.update_one(model, owner, fields, versioned)
    yield statements.update_many(model, owner, fields)
    if issubclass(model, base.SoftDelete):
        yield statements.restore_one(model, owner)
    yield from (check for _, check in statements.reference_checks(model, owner))
    for shape in ((), *((each,) for each in shapes(repository))):
        yield statements.select_count(model, owner, shape)
        for field, way in product(repository.orders, ("", "-")):
            yield statements.select_numbered(model, owner, way + field, shape)
            for part, following in product(statements.Part, (False, True)):
                yield statements.select_page(model, owner, way + field, shape, part, following)
        if issubclass(model, getattr(base, "Searchable", ())):
            yield module("repositories.searching").select_matches(model, owner, shape)


def shapes(repository: Any) -> Iterator[tuple[str, str, str]]:
    """The filters that a repository offers, one at a time."""
    for field in repository.filters:
        yield from ((field, field, comparison) for comparison in ("eq", "null"))
    for field, bound in product(repository.ranges, ("ge", "gt", "le", "lt")):
        yield f"{field}_{bound}", field, bound
    yield from ((f"{field}_contains", field, "contains") for field in repository.contains)


def of_relations(model: Any, owner: str | None) -> Iterator[Any]:
    """The statements of its relations that may be shown."""
    relations = module("repositories.relations")
    refused = module("errors").InvalidQuery
    for name, relation in model.__mapper__.relationships.items():
        try:
            yield relations.loading(model, owner, name).statement
        except refused:
            continue
        if relation.secondary is not None:
            links = module("repositories.links")
            fields = tuple(sorted(links.junction_of(model, name).fields))
            yield links.count_ends(model, owner, name)
            yield links.select_links(model, owner, name)
            yield from (links.insert_links(model, name, some) for some in ((), fields))
            yield from (links.delete_links(model, owner, name, each) for each in (False, True))


def main(samples: Iterable[Any]) -> None:
    """Compile them all."""
    dialect = MySQLDialect_aiomysql()
    for sample in samples:
        repository = sample.repository
        model, owner = repository.model, repository.owner_field
        for statement in (*of_rows(model, owner, repository), *of_relations(model, owner)):
            print(" ".join(str(statement.compile(dialect=dialect)).split()))


main(module("development.sample_data").SAMPLES)
