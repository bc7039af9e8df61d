"""What a data model means, read from the YAML that its author wrote."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

# Who may use a route: every caller with a token, or only those with the scope `admin`.
ANY, ADMIN = "any", "admin"

BOUNDS = {"ge", "gt", "le", "lt", "min_length"}

# What lists can be sorted by.
SORTED = {
    "string", "email", "url", "integer", "bigint", "decimal", "float", "date", "time", "datetime",
    "uuid",
}  # fmt: skip


@dataclass(frozen=True)
class Index:
    """An index: its columns, of which descending ones begin with "-", and its condition."""

    on: tuple[str, ...]
    unique: bool = False
    #: The values that indexed records have, by column.
    where: tuple[tuple[str, Any], ...] = ()


@dataclass
class Entity:
    """What the model says about one entity."""

    name: str
    owner: str | None
    soft_delete: bool
    versioned: bool
    append_only: bool
    #: Whether records of other entities belong to these.
    is_owner: bool
    create: set[str] = field(default_factory=set)
    update: set[str] = field(default_factory=set)
    response: set[str] = field(default_factory=set)
    secret: set[str] = field(default_factory=set)
    #: Whether each column can be null.
    columns: dict[str, bool] = field(default_factory=dict)
    #: The entity that each column refers to, and what happens when that record is deleted.
    references: dict[str, tuple[str, str]] = field(default_factory=dict)
    indexes: set[Index] = field(default_factory=set)
    #: Indexes with a method, such as gin.
    methods: dict[tuple[str, ...], str] = field(default_factory=dict)
    #: The columns whose values the database must check, with the values that this depends on.
    checked: dict[str, set[str]] = field(default_factory=dict)
    #: The maximum length of text columns.
    lengths: dict[str, int] = field(default_factory=dict)
    #: Fields that lists can be sorted by.
    orders: set[str] = field(default_factory=set)
    searchable: bool = False
    #: Who may read, create, update and delete records over HTTP: owner, any, admin or none.
    access: dict[str, str] = field(default_factory=dict)
    #: The fields that links of others show, if their callers may not read these records.
    public: set[str] = field(default_factory=set)
    #: The fields of the records in each list of links, by path.
    linked: dict[str, set[str]] = field(default_factory=dict)
    #: The related records that responses contain on request.
    included: set[str] = field(default_factory=set)
    #: Who may use each route, by method and path.
    routes: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The path of the records: AuditEvent is at /audit-events."""
        return "/" + plural(snake(self.name)).replace("_", "-")


def snake(name: str) -> str:
    """Return the name of a variable: AuditEvent is audit_event."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def plural(name: str) -> str:
    """Return the plural of a regular noun."""
    if re.search("[^aeiou]y$", name):
        return name[:-1] + "ies"
    return name + ("es" if name.endswith(("s", "x", "ch", "sh")) else "s")


def entities_of(model: Mapping[str, Any]) -> dict[str, Entity]:
    """Return what the model says about each entity with records of its own."""
    owners = {declared.get("owned_by") for declared in model.values()}
    found = {
        name: _entity(name, declared, name in owners, model)
        for name, declared in model.items()
        if not declared.get("embedded")
    }
    for name, declared in model.items():
        for relation, link in (declared.get("many_to_many") or {}).items():
            _add_links(found[name], relation, found[link["to"]])
    for entity in found.values():
        _add_included(entity, found)
    return found


def _entity(
    name: str, declared: Mapping[str, Any], is_owner: bool, model: Mapping[str, Any]
) -> Entity:
    entity = Entity(
        name=name,
        owner=declared.get("owned_by"),
        soft_delete=declared.get("soft_delete", False),
        versioned=declared.get("versioned", False),
        append_only=declared.get("append_only", False),
        is_owner=is_owner,
    )
    _add_bookkeeping(entity)
    for field_name, options in (declared.get("fields") or {}).items():
        _add_field(entity, field_name, options)
    for reference, options in (declared.get("references") or {}).items():
        _add_reference(entity, reference, options)
    for check in (declared.get("checks") or {}).values():
        left, right = re.findall("[a-z_]+", check["rule"])
        entity.checked.setdefault(left, set()).add(right)
    entity.response.update(declared.get("computed") or {})
    _add_indexes(entity, declared, model)
    _add_orders(entity, declared, model)
    _add_access(entity, declared)
    _add_routes(entity)
    return entity


def _add_bookkeeping(entity: Entity) -> None:
    entity.columns |= {"id": False, "created_at": False, "updated_at": False}
    entity.response |= {"id", "created_at", "updated_at"}
    if entity.owner:
        entity.columns["owner_id"] = False
        entity.references["owner_id"] = (entity.owner, "cascade")
        entity.response.add("owner_id")
    if entity.soft_delete:
        entity.columns["deleted_at"] = True
    if entity.versioned:
        entity.columns["version"] = False
        entity.response.add("version")


def _add_field(entity: Entity, name: str, options: Mapping[str, Any]) -> None:
    entity.columns[name] = options.get("optional", False)
    _add_to_requests(entity, name, options)
    (entity.secret if options.get("secret") else entity.response).add(name)
    bounds = {str(options[bound]) for bound in BOUNDS & options.keys()}
    if bounds or options["type"] == "enum":
        # Exact numbers are stored in various ways.
        entity.checked[name] = set() if options["type"] == "decimal" else bounds
        entity.checked[name].update(options.get("values", []))
    if options["type"] in {"string", "email"}:
        default = 254 if options["type"] == "email" else 255
        entity.lengths[name] = options.get("max_length", default)


def _add_reference(entity: Entity, name: str, options: Mapping[str, Any]) -> None:
    column = f"{name}_id"
    optional = options.get("optional", False)
    entity.columns[column] = optional
    default = "set_null" if optional else "restrict"
    entity.references[column] = (options["to"], options.get("on_delete", default))
    entity.response.add(column)
    _add_to_requests(entity, column, options)


def _add_to_requests(entity: Entity, column: str, options: Mapping[str, Any]) -> None:
    """Clients send what is not read-only, and change what is not immutable."""
    if not options.get("read_only"):
        entity.create.add(column)
        if not options.get("immutable"):
            entity.update.add(column)


def _add_indexes(entity: Entity, declared: Mapping[str, Any], model: Mapping[str, Any]) -> None:
    own = ("owner_id",) if entity.owner else ()
    entity.indexes.add(Index((*own, "-created_at", "-id")))
    if entity.soft_delete:
        entity.indexes.add(Index((*own, "-deleted_at", "-id"), where=(("deleted_at", True),)))
    leading = set()
    for index in declared.get("indexes") or []:
        on = tuple(_column(declared, part) for part in _listed(index.get("on", index.get(True))))
        where = {
            _column(declared, name): value for name, value in (index.get("where") or {}).items()
        }
        if "using" in index:
            entity.methods[on] = index["using"]
            entity.searchable |= index["using"] == "fulltext"
            continue
        listed = _read_by_lists(on, declared, model)
        if not where and "expires_after" not in index and not index.get("unique"):
            on = _sorting(on, declared, model)
        one_at_most = index.get("unique") and (
            entity.soft_delete or entity.columns.get(on[-1].removeprefix("-"), False)
        )
        if not where and len(listed) == 2 and not one_at_most:
            leading.add(on[0])
        entity.indexes.add(_index(entity, on, index.get("unique", False), where))
    for name, options in (declared.get("fields") or {}).items():
        if options.get("unique"):
            entity.indexes.add(_index(entity, (name,), True, {}))
        elif options.get("index"):
            entity.indexes.add(_index(entity, _sorting((name,), declared, model), False, {}))
    for name, options in (declared.get("references") or {}).items():
        column = f"{name}_id"
        if options.get("unique"):
            entity.indexes.add(_index(entity, (column,), True, {}))
        elif column not in leading:
            implied = column in _of_the_same_owner(declared, model)
            on = (column, *(own if not implied else ()))
            entity.indexes.add(_index(entity, _sorting(on, declared, model), False, {}))


def _index(entity: Entity, on: tuple[str, ...], unique: bool, where: Mapping[str, Any]) -> Index:
    # A deleted record does not reserve its unique values.
    condition = {**where, "deleted_at": None} if unique and entity.soft_delete else where
    return Index(on, unique, tuple(sorted(condition.items())))


def _listed(on: str | list[str]) -> list[str]:
    return [on] if isinstance(on, str) else on


def _column(declared: Mapping[str, Any], part: str) -> str:
    """Return the column of a part of an index: -owner is -owner_id."""
    name = part.removeprefix("-")
    refers = name == "owner" or name in (declared.get("references") or {})
    return f"{part}_id" if refers else part


def _of_the_same_owner(declared: Mapping[str, Any], model: Mapping[str, Any]) -> set[str]:
    """Return the required references to records of the same owner."""
    owner = declared.get("owned_by")
    return {
        f"{name}_id"
        for name, options in (declared.get("references") or {}).items()
        if owner and not options.get("optional") and model[options["to"]].get("owned_by") == owner
    }


def _read_by_lists(
    on: tuple[str, ...], declared: Mapping[str, Any], model: Mapping[str, Any]
) -> list[str]:
    """Return what a list compares and sorts by, if it is limited to an owner where there is one."""
    names = [part.removeprefix("-") for part in on if part.removeprefix("-") != "id"]
    fields = declared.get("fields") or {}
    references = {f"{name}_id" for name in declared.get("references") or {}}
    owned = {"owner_id"} if declared.get("owned_by") else set()
    if owned and not (owned | _of_the_same_owner(declared, model)) & {*names}:
        return []
    listed = [name for name in names if name not in owned]
    for name in listed:
        options = fields.get(name, {"type": None})
        if name in {"created_at", "updated_at"}:
            if name != names[-1]:
                return []
        elif options.get("secret") or not (
            options["type"] in SORTED | {"enum", "boolean"} or name in references
        ):
            return []
    return listed


def _sorting(
    on: tuple[str, ...], declared: Mapping[str, Any], model: Mapping[str, Any]
) -> tuple[str, ...]:
    """Return an index with what sorts a list at its end."""
    listed = _read_by_lists(on, declared, model)
    if not listed or on[-1].removeprefix("-") == "id":
        return on
    type_ = (declared.get("fields") or {}).get(listed[-1], {}).get("type")
    if type_ in SORTED or listed[-1] in {"created_at", "updated_at"}:
        return (*on, "-id" if on[-1].startswith("-") else "id")
    return (*on, "-created_at", "-id")


def _add_orders(entity: Entity, declared: Mapping[str, Any], model: Mapping[str, Any]) -> None:
    """Lists are sorted by what comes last in an index, before the key or as a unique value."""
    entity.orders.add("created_at")
    fields = declared.get("fields") or {}
    for index in entity.indexes:
        listed = _read_by_lists(index.on, declared, model)
        last = listed[-1] if listed else ""
        if index.unique:
            options = fields.get(last, {"type": None, "optional": True})
            if not index.where and options["type"] in SORTED and not options.get("optional"):
                entity.orders.add(last)
        elif not index.where and last and index.on[-1].removeprefix("-") == "id":
            entity.orders.add(last)


def _add_access(entity: Entity, declared: Mapping[str, Any]) -> None:
    """Records with an owner are the owner's; others are the admins', unless they are shared."""
    usual = "owner" if entity.owner else "admin"
    entity.access = dict.fromkeys(("read", "create", "update", "delete"), usual)
    if entity.append_only:
        entity.access |= {"update": "none", "delete": "none"}
    if entity.is_owner:
        entity.access["read"] = "owner"
    if declared.get("shared"):
        entity.access["read"] = "any"
    entity.access |= declared.get("access") or {}
    entity.public = {"id", *(declared.get("public") or [])}


def _scope(entity: Entity, action: str) -> str | None:
    """Return who may use the routes for an action; None if there are none."""
    who = entity.access[action]
    if who == "owner":
        # Records without an owner that own others are their own at `/me` only.
        return ANY if entity.owner else ADMIN
    return {"any": ANY, "admin": ADMIN, "none": None}[who]


def _add_routes(entity: Entity) -> None:
    one = f"{entity.path}/{{id}}"
    actions = {
        f"GET {entity.path}": "read",
        f"GET {entity.path}/numbered": "read",
        f"GET {one}": "read",
        f"POST {entity.path}": "create",
        f"PATCH {one}": "update",
        f"DELETE {one}": "delete",
    }
    if entity.soft_delete:
        actions[f"POST {one}/restore"] = "delete"
    if entity.searchable:
        actions[f"GET {entity.path}/search"] = "read"
    _add(entity, actions)
    # Who lists deleted records may read them, and restore them.
    scopes = {_scope(entity, action) for action in ("read", "delete")}
    if entity.soft_delete and None not in scopes:
        entity.routes[f"GET {entity.path}/deleted"] = ADMIN if ADMIN in scopes else ANY
    for method, action in (("GET", "read"), ("PATCH", "update"), ("DELETE", "delete")):
        is_own = entity.access[action] == "owner" or (method, entity.access[action]) == (
            "GET",
            "any",
        )
        if entity.is_owner and is_own:
            entity.routes[f"{method} {entity.path}/me"] = ANY


def _add_links(entity: Entity, relation: str, target: Entity) -> None:
    # A relation to records of another kind of owner has no routes, and records with an owner are
    # linked by that owner only.
    if target.owner not in {None, entity.owner}:
        return
    path = f"{entity.path}/{{id}}/{relation.replace('_', '-')}"
    actions = {
        f"GET {path}": "read",
        f"PUT {path}": "update",
        f"PUT {path}/{{id}}": "update",
        f"DELETE {path}/{{id}}": "update",
    }
    allowed = {"owner"} if target.owner else {"owner", "any", "admin"}
    _add(entity, {at: each for at, each in actions.items() if entity.access[each] in allowed})
    if f"GET {path}" in entity.routes:
        caller, reader = entity.access["read"], target.access["read"]
        # Only admins list records that own others.
        alike = caller == reader and (caller != "owner" or target.owner is not None)
        by_admins = ADMIN == entity.routes[f"GET {path}"] == _scope(target, "read")
        may_read = reader == "any" or alike or by_admins
        entity.linked[path] = target.response if may_read else target.public


def _add_included(entity: Entity, entities: Mapping[str, Entity]) -> None:
    """Callers include what they may read: their own, what every caller reads, and admins theirs."""
    caller = entity.access["read"]
    for column, (name, _) in entity.references.items():
        target = entities[name]
        reader = target.access["read"]
        if target.owner:
            own = caller == "owner" and target.owner == entity.owner
            may_read = own and reader in {"owner", "any"}
        else:
            admins = _scope(entity, "read") == _scope(target, "read") == ADMIN
            may_read = caller != "none" and (reader == "any" or admins)
        if may_read:
            entity.included.add(column.removesuffix("_id"))


def _add(entity: Entity, actions: Mapping[str, str]) -> None:
    for route, action in actions.items():
        if scope := _scope(entity, action):
            entity.routes[route] = scope


def owned(entities: Mapping[str, Entity]) -> Iterator[Entity]:
    """Yield the entities whose records have an owner."""
    return (entity for entity in entities.values() if entity.owner)
