"""Generated projects do what their data model means, on each kind of database."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock

from tests.meaning.expectations import ADMIN, Entity, Index, entities_of, owned, plural, snake
from tests.workshop import Workshop, environment_of, model

HERE = Path(__file__).parent

TASKS, SAAS = ({"starter": name} for name in ("tasks", "saas"))
PROJECTS: dict[str, dict[str, Any]] = {
    "tasks-sqlite": TASKS | {"database": "sqlite"},
    "tasks-mongodb": TASKS | {"orm": "beanie", "database": "mongodb"},
    "saas-postgresql": SAAS | {"database": "postgresql", "primary_key": "integer"},
    "saas-mysql": SAAS | {"database": "mysql", "orm": "sqlmodel"},
    "saas-mongodb": SAAS | {"orm": "beanie", "database": "mongodb", "primary_key": "objectid"},
    "organisation-sqlite": model("organisation") | {"database": "sqlite", "orm": "sqlmodel"},
}


@dataclass(frozen=True)
class Project:
    """A generated project: what its data model means, and what it was observed to do."""

    database: str
    model: dict[str, Any]
    entities: dict[str, Entity]
    observed: dict[str, Any]

    def table(self, name: str) -> Any:
        """Return what the catalog says about the table of an entity."""
        return self.observed["tables"][plural(snake(name))]


@pytest.fixture
def project(request: pytest.FixtureRequest, workshop: Workshop, python: Path) -> Project:
    """The project of the test, observed once in a session."""
    answers = PROJECTS[request.param]
    rendered = workshop.render(**answers)
    declared = yaml.safe_load((rendered / "data_model.yml").read_text("utf-8"))["entities"]
    entities = entities_of(declared)
    report = workshop.folder / f"observed-{request.param}.json"
    with FileLock(report.with_suffix(".lock")):
        if not report.exists():
            report.write_text(observe(rendered, entities, workshop, python), "utf-8")
    observed = json.loads(report.read_text("utf-8"))
    return Project(answers["database"], declared, entities, observed)


def observe(rendered: Path, entities: dict[str, Entity], workshop: Workshop, python: Path) -> str:
    """Return the report of `observe.py` on a project."""
    folder = workshop.new_folder("observe")
    copied = shutil.copytree(rendered, folder / "project")
    paths = {name: entity.path for name, entity in entities.items()}
    done = subprocess.run(
        [python, HERE / "observe.py", json.dumps(paths)],
        cwd=copied,
        env=environment_of(python, copied),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if done.returncode:
        pytest.fail(done.stderr, pytrace=False)
    shutil.rmtree(folder)
    return done.stdout


each_project = pytest.mark.parametrize("project", [*PROJECTS], indirect=True)


# ---- Schemas and responses


@each_project
def test_no_response_contains_a_secret(project: Project) -> None:
    for name, entity in project.entities.items():
        assert not entity.secret & response_of(project, name)
        for fields in responses_with(project, entity):
            assert not entity.secret & set(fields)


@each_project
def test_schemas_contain_exactly_the_fields_that_the_model_allows(project: Project) -> None:
    schemas = project.observed["schemas"]
    for name, entity in project.entities.items():
        # The document describes only what its routes use.
        for action, fields in (("Create", entity.create), ("Update", entity.update)):
            used = entity.access[action.lower()] != "none"
            assert set(schemas.get(f"{name}{action}", ())) == (fields if used else set())
        assert response_of(project, name) == entity.response
        related = schemas.get(f"{name}WithRelations", entity.response)
        assert set(related) == entity.response | entity.included
        assert set(schemas.get(f"{name}Public", entity.public)) == entity.public
        if f"GET {entity.path}/deleted" in entity.routes:
            assert set(schemas[f"{name}Deleted"]) == entity.response | {"deleted_at"}


@each_project
def test_responses_contain_exactly_the_fields_that_the_model_allows(project: Project) -> None:
    for entity in project.entities.values():
        assert responses_with(project, entity)
        for fields in responses_with(project, entity):
            # Only deleted records have it.
            assert set(fields) - {"deleted_at"} == entity.response


def response_of(project: Project, name: str) -> set[str]:
    """Return the fields of an entity's response, without the related records in it."""
    schemas = project.observed["schemas"]
    related = schemas.get(f"{name}WithRelations", ())
    return set(schemas.get(f"{name}Response", related)) - project.entities[name].included


def responses_with(project: Project, entity: Entity) -> list[list[str]]:
    """Return the fields of each record of an entity in a response."""
    return [
        fields
        for request, responses in project.observed["responses"].items()
        if request.split()[1].split("/")[1] == entity.path[1:]
        for fields in responses
    ]


# ---- Permissions and filters


@each_project
def test_every_route_needs_a_token_and_the_scope_that_the_model_requires(project: Project) -> None:
    routes = {
        route: scope for each in project.entities.values() for route, scope in each.routes.items()
    }
    assert project.observed["statuses"].keys() == routes.keys()
    for route, (without, plain, admin) in project.observed["statuses"].items():
        assert without == 401, route
        assert (plain == 403) is (routes[route] == ADMIN), route
        assert admin not in {401, 403}, route


@each_project
def test_links_show_only_what_their_caller_may_read(project: Project) -> None:
    expected = {
        path: sorted(fields)
        for entity in project.entities.values()
        for path, fields in entity.linked.items()
    }
    assert project.observed["linked"] == expected


@each_project
def test_changes_of_another_owners_record_are_not_found_and_change_nothing(
    project: Project,
) -> None:
    foreign = project.observed["foreign"]
    for entity in owned(project.entities):
        for method, action in (("PATCH", "update"), ("DELETE", "delete")):
            found = foreign.get(f"{method} {entity.path}/{{id}}")
            assert found == ([404, True] if entity.access[action] == "owner" else None)


@each_project
def test_every_statement_on_owned_records_is_filtered_by_the_owner(project: Project) -> None:
    seen = set()
    for request, entity, filters in statements_on(project, list(owned(project.entities))):
        seen.add(entity.name)
        assert "owner_id" in filters, request
    assert seen == {entity.name for entity in owned(project.entities)}


@each_project
def test_every_statement_excludes_deleted_records(project: Project) -> None:
    deletable = [entity for entity in project.entities.values() if entity.soft_delete]
    seen = set()
    for request, entity, filters in statements_on(project, deletable):
        seen.add(entity.name)
        assert "deleted_at" in filters, request
    assert seen == {entity.name for entity in deletable}


def statements_on(project: Project, entities: list[Entity]) -> Iterator[tuple[str, Entity, str]]:
    """Yield the filter of each statement on the table of an entity, with request and entity.

    Those of requests on other records of the same owner are included: references are verified.
    """
    requests = {each.path: each.owner for each in project.entities.values()}
    for request, statements in project.observed["statements"].items():
        method, path = request.split()
        base = "/".join(path.split("/")[:2])
        if entities and entities[0].owner and is_across_owners(project, method, path):
            continue
        for entity in entities:
            # Deleting a record changes those that refer to it, of any owner.
            if base == entity.path or (requests[base] == entity.owner and method != "DELETE"):
                for statement in statements:
                    filters = filters_on(plural(snake(entity.name)), statement)
                    if filters is not None:
                        yield f"{request}: {statement}", entity, filters


def is_across_owners(project: Project, method: str, path: str) -> bool:
    """Whether a route is for the records of all owners."""
    [requested] = [
        each for each in project.entities.values() if each.path == f"/{path.split('/')[1]}"
    ]
    actions = {"GET": "read", "PATCH": "update", "DELETE": "delete", "POST": "create"}
    action = "delete" if path.endswith("/restore") else actions[method]
    needed = {"read", "delete"} if path.endswith("/deleted") else {action}
    return requested.owner is not None and {requested.access[each] for each in needed} != {"owner"}


def filters_on(table: str, statement: Any) -> str | None:
    """Return the filter of a statement if it is on this table, else None."""
    if isinstance(statement, list):
        command, collection, filters = statement
        return " ".join(filters) if collection == table and command != "insert" else None
    if not re.search(rf'(?:FROM|JOIN|UPDATE) ["`]?{table}\b', statement):
        return None
    where: str = statement.partition(" WHERE ")[2].partition(" RETURNING ")[0]
    return where


# ---- The catalog of the database


@each_project
def test_every_column_is_nullable_only_if_the_model_says_optional(project: Project) -> None:
    for name, entity in project.entities.items():
        columns = project.table(name)["columns"]
        expected = {rename(project, column): null for column, null in entity.columns.items()}
        assert {column: columns.get(column) for column in expected} == expected


@each_project
def test_the_database_checks_every_bound_enum_and_rule(project: Project) -> None:
    for name, entity in project.entities.items():
        checks = project.table(name)["checks"]
        for column, values in entity.checked.items():
            about = [check for check in checks if re.search(rf"\b{column}\b", check)]
            assert about, (name, column)
            for value in values:
                assert re.search(rf"\b{value}\b", " ".join(about)), (name, column, value)
        if project.database != "sqlite":
            lengths = project.table(name)["lengths"]
            assert {column: lengths[column] for column in entity.lengths} == entity.lengths


@each_project
def test_foreign_keys_do_on_delete_what_the_model_says(project: Project) -> None:
    if project.database != "mongodb":
        for name, entity in project.entities.items():
            assert project.table(name)["references"] == {
                column: [plural(snake(target)), action]
                for column, (target, action) in entity.references.items()
            }


@each_project
def test_the_indexes_are_those_of_the_model(project: Project) -> None:
    for name, entity in project.entities.items():
        indexes = project.table(name)["indexes"]
        found = [
            index
            for index in indexes
            if tuple(part.removesuffix(".$**") for part in index["on"]) not in entity.methods
            and index["method"].lower() not in {"fulltext", "text"}
            and "search" not in "".join(index["on"])
        ]
        for index in entity.indexes:
            matching = [other for other in found if matches(project, index, other)]
            assert len(matching) == 1, (name, index, found)
            found.remove(matching[0])
        keys = {(f"{snake(link['to'])}_ids",) for link in links(project.model[name])}
        assert [index for index in found if tuple(index["on"]) not in keys] == []
        if project.database == "postgresql":
            methods = {tuple(index["on"]): index["method"] for index in indexes}
            for on, method in entity.methods.items():
                assert method == "fulltext" or methods[on] == method


def matches(project: Project, index: Index, found: dict[str, Any]) -> bool:
    """Whether an index in the catalog is the one that the model means."""
    if (tuple(found["on"]), found["unique"]) != (index.on, index.unique):
        return False
    if project.database == "mysql" and not index.unique:
        # MariaDB has no partial indexes; a marker column replaces them where it matters.
        return not found["where"]
    words = set(re.findall(r"[\w-]+", found["where"]))
    wanted = {name for name, _ in index.where}
    wanted |= {str(value) for _, value in index.where if isinstance(value, str)}
    return wanted <= words and bool(index.where) is bool(found["where"].strip("{}"))


def links(declared: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the many-to-many relations that an entity declares."""
    return list((declared.get("many_to_many") or {}).values())


def rename(project: Project, column: str) -> str:
    """Return the name of a column in the catalog."""
    return "_id" if project.database == "mongodb" and column == "id" else column


# ---- Lists


@each_project
def test_lists_can_be_sorted_by_what_is_indexed_and_not_secret(project: Project) -> None:
    for entity in project.entities.values():
        for path in (entity.path, f"{entity.path}/numbered"):
            orders = project.observed["orders"][path]
            assert {order.removeprefix("-") for order in orders} == entity.orders
            assert len(orders) == 2 * len(entity.orders)
