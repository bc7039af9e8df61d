"""Report what a generated project does, as JSON. Runs in the project's folder and environment.

    python observe.py ENTITIES

ENTITIES is JSON with the path of each entity's routes by its name. The report contains

    schemas      the fields of each schema in the OpenAPI document;
    orders       the values of `order` in each list;
    linked       the fields of the records in each list of links;
    statuses     what each route returns to callers without a token, with one, and with `admin`;
    responses    the fields of each record in a response, by request;
    statements   what each request sends to the database;
    foreign      for each change of another owner's record, its status and whether it changed;
    tables       the catalog of the migrated database.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

# The project, for its own tests; and the folder with the script that is imported next.
sys.path[:0] = [str(Path.cwd()), str(Path(__file__).parents[1])]
from in_project import IS_SQL, module  # noqa: E402

# The module beside this file that is specific to tables or documents.
STORE: Any = importlib.import_module("observe_tables" if IS_SQL else "observe_documents")
SECRET = "a secret of thirty-two characters"


class Client:
    """Sends requests to the application and records what they return and execute."""

    def __init__(self, app: Any, settings: Any, statements: list[Any]) -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://test")
        self.issue = module("api.auth").issue_token
        self.settings = settings
        self.statements = statements

    async def send(
        self,
        method: str,
        path: str,
        by: object,
        scopes: Sequence[str] = (),
        headers: Mapping[str, str] = {},
        body: object = None,
    ) -> httpx.Response:
        """Send a request for `by`, or without a token if that is None."""
        sent = dict(headers)
        if by is not None:
            sent["Authorization"] = f"Bearer {self.issue(self.settings, by, scopes)}"
        self.statements.clear()
        return await self.http.request(method, path, headers=sent, json=body)


def main() -> None:
    """Print the report."""
    paths = json.loads(sys.argv[1])
    server = importlib.import_module("tests.data_layer.server").Server()
    try:
        url = server.create()
        module("migrating.commands").upgrade(url)
        print(json.dumps(asyncio.run(report(url, paths)), default=str))
    finally:
        server.stop()


async def report(url: Any, paths: Mapping[str, str]) -> dict[str, Any]:
    """Return the report on a migrated, empty database."""
    settings = module("settings").Settings(database_url=url, jwt_secret=SECRET)
    tables = await STORE.catalog(module, url)
    database = module("database").Database(settings)
    seeding = module("development.seeding")
    samples = module("development.sample_data").SAMPLES
    await seeding.seed(database, seeding.cap_counts({sample.name: 6 for sample in samples}))
    anyone = await oldest_owner(database, samples)
    await database.close()
    statements: list[Any] = STORE.record()
    app = module("api.app").create_app(settings)
    document = app.openapi()
    found: dict[str, Any] = {
        "tables": tables,
        "schemas": {
            name: sorted(schema["properties"])
            for name, schema in document["components"]["schemas"].items()
            if "properties" in schema
        },
        "orders": dict(orders(document)),
        "linked": dict(linked(document)),
    }
    client = Client(app, settings, statements)
    async with app.router.lifespan_context(app), client.http:
        found["statuses"] = await statuses(client, document, anyone)
        walk = Walk(client, document, paths, anyone)
        for sample in samples:
            await walk.use(sample)
    return found | walk.found


async def oldest_owner(database: Any, samples: Sequence[Any]) -> Any:
    """Return the key of the first record that owns others; without owners, any key."""
    owners = {sample.owner for sample in samples}
    async with database.reading() as session:
        for sample in samples:
            if sample.name in owners:
                page = await sample.open(session, None).page(order="created_at", limit=1)
                return page.items[0].id
    return no_record()


def no_record() -> Any:
    """Return a valid key that no record has."""
    return importlib.import_module("tests.data_layer.entities").NO_RECORD


def orders(document: Any) -> Iterator[tuple[str, list[str]]]:
    """Yield the values of `order` in each list."""
    for path, methods in document["paths"].items():
        for parameter in methods.get("get", {}).get("parameters", []):
            if parameter["name"] == "order":
                [choices] = [option for option in parameter["schema"]["anyOf"] if "enum" in option]
                yield path, choices["enum"]


def linked(document: Any) -> Iterator[tuple[str, list[str]]]:
    """Yield the fields of the records at the other end of each list of links."""
    schemas = document["components"]["schemas"]
    for path, methods in document["paths"].items():
        content = methods.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
        listed = (
            content.get("application/json", {}).get("schema", {}).get("items", {}).get("$ref", "")
        )
        if listed.endswith("Linked"):
            record = schemas[listed.rpartition("/")[2]]["properties"]["record"]["$ref"]
            yield named(path), sorted(schemas[record.rpartition("/")[2]]["properties"])


def named(path: str) -> str:
    """Return a path with `{id}` in place of the name of each key."""
    return re.sub(r"\{\w+\}", "{id}", path)


async def statuses(client: Client, document: Any, anyone: object) -> dict[str, list[int]]:
    """Return the status of each route without a token, with one, and with the scope `admin`."""
    found = {}
    for path, methods in document["paths"].items():
        if path.startswith("/health"):
            continue
        place = re.sub(r"\{\w+\}", str(no_record()), path)
        for method in methods:
            found[f"{method.upper()} {named(path)}"] = [
                (await client.send(method.upper(), place, by, scopes)).status_code
                for by, scopes in (
                    (None, ()),
                    (anyone, ("tasks", "administrator")),
                    (anyone, ("admin",)),
                )
            ]
    return found


class Walk:
    """Uses the routes of every entity, as an owner of records and as another caller."""

    def __init__(
        self, client: Client, document: Any, paths: Mapping[str, str], anyone: object
    ) -> None:
        self.client = client
        self.document = document
        self.paths = paths
        self.anyone = anyone
        self.found: dict[str, Any] = {"responses": {}, "statements": {}, "foreign": {}}

    async def send(self, method: str, path: str, by: object, **options: Any) -> Any:
        """Return the response to a request that must succeed; record what it did."""
        name = f"{method} {self.name(path)}"
        response = await self.client.send(method, path, by, ("admin",), **options)
        assert response.status_code < 400, (name, response.status_code, response.text)
        self.found["statements"].setdefault(name, []).extend(self.client.statements)
        content = response.json() if response.content else None
        for record in records_in(content):
            self.found["responses"].setdefault(name, []).append(sorted(record))
        return response.headers, content

    def name(self, path: str) -> str:
        """Return a path with `{id}` in place of the key of a record, and without its query."""
        parts = path.partition("?")[0].split("/")
        fixed = {"numbered", "deleted", "search", "me", "restore"}
        return "/".join(
            "{id}" if place in {2, 4} and part not in fixed else part
            for place, part in enumerate(parts)
        )

    async def use(self, sample: Any) -> None:
        """Use the routes of an entity on the first record of each of its owners."""
        base = self.paths[sample.name]
        callers = await self.callers(sample)
        for me, other in zip(callers, [*callers[1:], callers[0]], strict=True):
            _, page = await self.send("GET", base, me)
            await self.send("GET", f"{base}/numbered", me)
            if f"{base}/search" in self.document["paths"]:
                await self.send("GET", f"{base}/search?words=a", me)
            own = [record for record in page["items"] if record.get("owner_id", me) == me]
            if own:
                await self.change(sample, f"{base}/{own[0]['id']}", me, other)

    def template(self, path: str) -> str:
        """Return the path in the OpenAPI document, with the names of its keys."""
        paths: list[str] = list(self.document["paths"])
        return next(each for each in paths if named(each) == self.name(path))

    def is_for_owners(self, method: str, path: str) -> bool:
        """Whether there is such a route, and it is not for admins."""
        route = self.document["paths"][self.template(path)].get(method.lower())
        return route is not None and "403" not in route["responses"]

    async def callers(self, sample: Any) -> list[Any]:
        """Return the keys of the entity's owners, or that of any caller."""
        if not sample.owner:
            return [self.anyone]
        _, page = await self.send("GET", self.paths[sample.owner], self.anyone)
        return [record["id"] for record in page["items"]]

    async def change(self, sample: Any, path: str, me: object, other: object) -> None:
        """Update a record, and delete it if it can be restored; first as another caller."""
        headers, record = await self.send("GET", path, me)
        schema = self.document["components"]["schemas"].get(f"{sample.name}Update", {})
        # The values that it has, so that no rule is broken; the statement is the same.
        body = {name: record[name] for name in schema.get("properties", {}) if name in record}
        match = {"If-Match": headers["ETag"]} if "ETag" in headers else {}
        if sample.owner:
            # The other caller cannot refer to the same records.
            own = {name: value for name, value in body.items() if not name.endswith("_id")}
            for method, content in (("PATCH", own), ("DELETE", None)):
                if not self.is_for_owners(method, path):
                    continue
                response = await self.client.send(
                    method, path, other, ("admin",), headers=match, body=content
                )
                _, now = await self.send("GET", path, me)
                self.found["foreign"][f"{method} {self.name(path)}"] = [
                    response.status_code,
                    now == record,
                ]
        if body and "patch" in self.document["paths"][self.template(path)]:
            await self.send("PATCH", path, me, headers=match, body=body)
        if f"{self.name(path)}/restore" in map(named, self.document["paths"]):
            await self.send("DELETE", path, me)
            await self.send("GET", f"{path.rpartition('/')[0]}/deleted", me)
            await self.send("POST", f"{path}/restore", me)


def records_in(found: Any) -> Iterator[dict[str, Any]]:
    """Yield every record in a response."""
    if isinstance(found, dict) and "items" in found:
        found = found["items"]
    yield from [record for record in (found if isinstance(found, list) else [found]) if record]


if __name__ == "__main__":
    main()
