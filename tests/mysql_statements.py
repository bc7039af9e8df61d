"""Print every statement that the repositories of a project build, compiled for MySQL.

    python mysql_statements.py

Run it in the project's folder. It needs no server and prints one statement per line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any

from in_project import module
from sqlalchemy.dialects.mysql.aiomysql import MySQLDialect_aiomysql


def statements_of(model: Any, owner: str | None, repository: Any) -> Iterator[Any]:
    """Yield the statements of one repository, except those of its relations."""
    statements = module("repositories.statements")
    base = module("models.base")
    yield statements.select_one(model, owner)
    yield statements.insert_one(model)
    yield statements.delete_one(model, owner, versioned=False)
    fields = tuple(sorted(module("schemas").__dict__[f"{model.__name__}Update"].model_fields))
    for versioned in {False, issubclass(model, base.Versioned)}:
        yield statements.update_one(model, owner, fields, versioned)
    yield statements.update_many(model, owner, fields)
    if issubclass(model, base.SoftDelete):
        yield statements.restore_one(model, owner, versioned=False)
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
    """Yield the filters that a repository supports, one at a time."""
    for field in repository.filters:
        yield from ((field, field, comparison) for comparison in ("eq", "null"))
    for field, bound in product(repository.ranges, ("ge", "gt", "le", "lt")):
        yield f"{field}_{bound}", field, bound
    yield from ((f"{field}_contains", field, "contains") for field in repository.contains)


def relation_statements(model: Any, owner: str | None) -> Iterator[Any]:
    """Yield the statements of the relations that a repository can load."""
    relations = module("repositories.relations")
    rejected = module("errors").InvalidQuery
    for name, relation in model.__mapper__.relationships.items():
        try:
            yield relations.loading(model, owner, name).statement
        except rejected:
            continue
        if relation.secondary is not None:
            links = module("repositories.links")
            fields = tuple(sorted(links.junction_of(model, name).fields))
            yield links.count_ends(model, owner, name)
            yield links.select_links(model, owner, name)
            yield from (links.insert_links(model, name, some) for some in ((), fields))
            yield from (links.delete_links(model, owner, name, each) for each in (False, True))


def main(samples: Iterable[Any]) -> None:
    """Compile and print all statements."""
    dialect = MySQLDialect_aiomysql()
    for sample in samples:
        repository = sample.repository
        model, owner = repository.model, repository.owner_field
        for statement in (
            *statements_of(model, owner, repository),
            *relation_statements(model, owner),
        ):
            print(" ".join(str(statement.compile(dialect=dialect)).split()))


main(module("development.sample_data").SAMPLES)
