"""Hypothesis strategies that draw any valid data model, over the whole language.

The validator must accept every model drawn. A comment explains every feature of the language that
is left out.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from tests.any_field import TEXTS, fields, fitting_values, settable

# The number of random models to draw; without it, a few are drawn, the same ones each time.
SEARCHED = int(os.environ.get("GROUNDWORK_EXAMPLES", "0"))

Entity = dict[str, Any]
Entities = dict[str, Entity]

# Entity names and their table names, listed here independently of the template's rules.
TABLES = {
    "Task": "tasks",
    "Order": "orders",
    "Group": "groups",
    "User": "users",
    "Select": "selects",
    "Match": "matches",
    "Case": "cases",
    "Category": "categories",
    "Person": "people",
    "Child": "children",
    "News": "news",
    "Series": "series",
    "Analysis": "analyses",
    "Day": "days",
    "B": "bs",
    "API2Key": "api2_keys",
    "HTTPServer": "http_servers",
    "Relation": "relations",
    "Health": "healths",
    "App": "apps",
    "Data": "data",
    "Row": "rows",
    "Error": "errors",
    "Operator": "operators",
    "Driver": "drivers",
    "Decision2": "decision2s",
    "InternationalisationConfigurationMigrationHistorie": (
        "internationalisation_configuration_migration_histories"
    ),
    "AnotherEntityWithANameThatIsAsLongAsItCouldEverBeX": (
        "another_entity_with_a_name_that_is_as_long_as_it_could_ever_be_xes"
    ),
}
# The derived table name of this entity would be too long.
TOO_LONG = "AnotherEntityWithANameThatIsAsLongAsItCouldEverBeX"

OWN_TABLES = [
    *("order", "group", "user", "select", "table", "t", "user_", "a__b", "key", "index", "values"),
    "another_entity_whose_table_name_is_as_long_as_it_could_be_xy",
]

# Ordinary names, words of SQL and Python, names that generated modules import, and long names.
_MEMBERS = """
title name a b2 due_at starts_on x_1 order group user select limit table default check index offset
column constraint references end start into null where primary unique to_do all_of match case type
key keys values data value number fake row rows session page after include words date datetime time
timedelta decimal uuid enum hash text any object property set len listed items get update clear pop
count sum func now desc asc operator math base model entity external_id parent first_name postcode
city status kind price total note cls info mapped annotated request response principal router
relationship a_field_whose_name_is_precisely_as_long_as_names_can_be
a_field_whose_name_is_nearly_as_long_as_names_can_be_2
"""
MEMBERS = _MEMBERS.split()
# Method names of Beanie's documents, and of Prisma's models, which cannot be members.
NO_MEMBERS = {
    "mongodb": ["all", "count", "get", "include", "set", "sum", "update"],
    "prisma": ["include"],
}
# Embedded entities; their fields can also have the names that Groundwork reserves on records.
EMBEDDED = [
    *("Place", "Line2", "HTTPHeader", "Match2"),
    "AnEmbeddedEntityWithANameThatIsAsLongAsItCouldBeX",
]
INNER = [*MEMBERS, "id", "created_at", "version"]
TARGETS = [
    *("holder", "parent", "previous", "group_of", "order_by", "where_from", "partner", "match_of"),
    "a_reference_whose_name_is_as_long_as_a_name_may_ever_be",
]
THROUGHS = [
    *("TaskTag", "OrderBy", "Membership", "Using", "Link2"),
    "JunctionWithANameThatIsAsLongAsTablesAllowIt",
]
INVERSES = [f"{name}_of_it" for name in ("those", "select", "all", "match", "first", "last", "x")]
RULES = ["rule", "primary", "check_2", "order", "a_check_whose_name_is_as_long_as_can_be"]

FAMILIES = {
    **dict.fromkeys(("string", "text", "email", "url"), "text"),
    **dict.fromkeys(("integer", "bigint", "decimal", "float"), "number"),
    **{name: name for name in ("date", "time", "datetime")},
}
TYPES = [*FAMILIES, "boolean", "uuid", "json", "enum", "bytes", "array"]
IN_A_JUNCTION = [
    *("string", "integer", "bigint", "decimal", "float", "boolean", "date", "datetime", "enum"),
]
UNORDERED = ("json", "array", "text", "bytes", "embedded")
# The types of a field by which records can expire.
EXPIRING = ("datetime", "clock", "deleted_at")

METHODS = {
    "gin": ["json", "array"],
    "gist": [*FAMILIES, "uuid", "reference", "clock"],
    "hash": [*FAMILIES, "uuid", "boolean", "enum", "bytes", "json", "array", "reference"],
    "fulltext": ["string", "text"],
    "trigram": ["string", "text", "email", "url"],
}

often = st.booleans()
seldom = st.integers(0, 4).map(lambda number: number == 4)
texts = st.sampled_from(TEXTS)


@dataclass
class Draft:
    """A model under construction: what its parts need to know of each other."""

    database: str
    entities: Entities
    #: Required references only refer to entities of lower rank, so they form no circle.
    ranks: dict[str, int]
    #: The names of an entity's members, including the inverses of other entities.
    members: dict[str, set[str]] = field(default_factory=dict)
    tables: set[str] = field(default_factory=set)
    throughs: set[str] = field(default_factory=set)
    #: The embedded entities.
    embedded: Entities = field(default_factory=dict)
    orm: str = ""

    @property
    def free(self) -> list[str]:
        """The names that a member can have on this database, and with this ORM."""
        taken = {*NO_MEMBERS.get(self.database, ()), *NO_MEMBERS.get(self.orm, ())}
        return [name for name in MEMBERS if name not in taken]

    def below(self, name: str) -> list[str]:
        """Return the entities that a required reference of `name` can refer to."""
        return [other for other in self.entities if self.ranks[other] < self.ranks[name]]

    def relations(self, source: str, target: str) -> int:
        """Return the number of relations from one entity to another."""
        entity = self.entities[source]
        named = [
            each["to"]
            for section in ("references", "many_to_many")
            for each in entity.get(section, {}).values()
        ]
        return [*named, entity.get("owned_by")].count(target)


@st.composite
def models(draw: st.DrawFn, database: str = "postgresql", orm: str = "") -> Entities:
    """Draw the entities of a model that is valid for this database, and this ORM."""
    names = draw(st.lists(st.sampled_from(list(TABLES)), min_size=1, max_size=4, unique=True))
    ranks = draw(st.permutations(range(len(names))))
    draft = Draft(database, {name: {} for name in names}, dict(zip(names, ranks, strict=True)))
    draft.orm = orm
    for name in draw(st.lists(st.sampled_from(EMBEDDED), max_size=2, unique=True)):
        draft.embedded[name] = draw(_embedded(draft))
    for name in names:
        draw(_with_head(draft, name))
    for name in names:
        draw(_with_members(draft, name))
    for name in names:
        draw(_with_access(draft, name))
    for name in names:
        draw(_with_names_for_others(draft, name))
        draw(_with_rules(draft, name))
        draw(_with_principal(draft, name))
    entities = {
        name: {key: value for key, value in entity.items() if value != {} and value != []}
        for name, entity in draft.entities.items()
    }
    return draw(st.sampled_from([entities | draft.embedded, draft.embedded | entities]))


@st.composite
def _embedded(draw: st.DrawFn, draft: Draft) -> Entity:
    """Draw an embedded entity, which has only fields, all of them set by the client."""
    members = draw(st.lists(st.sampled_from(INNER), min_size=1, max_size=6, unique=True))
    own: dict[str, Any] = {}
    for member in members:
        drawn = draw(_any_fields(draft))
        kept = {key: value for key, value in drawn.items() if key not in ("unique", "index")}
        kept = {
            key: value
            for key, value in kept.items()
            if key not in ("secret", "immutable", "read_only")
        }
        # In an embedded entity, the validator rejects the default `now` for every type.
        if kept.get("default") == "now":
            del kept["default"]
        own[member] = kept
    head = {"description": draw(texts)} if draw(seldom) else {}
    return {"embedded": True, **head, "fields": own}


@st.composite
def _any_fields(draw: st.DrawFn, draft: Draft) -> dict[str, Any]:
    """Draw a field of any type, including embedded ones."""
    if not draft.embedded or not draw(seldom):
        return draw(fields(TYPES, draft.database))
    made: dict[str, Any] = {"type": draw(st.sampled_from(["embedded", "array"]))}
    made["of"] = draw(st.sampled_from(list(draft.embedded)))
    for flag in ("optional", "secret", "immutable", "read_only"):
        if draw(seldom):
            made[flag] = draw(st.booleans())
    if made["type"] == "array" and draw(often):
        made["default"] = []
    return settable(made)


@st.composite
def _with_head(draw: st.DrawFn, draft: Draft, name: str) -> None:
    """Draw the description, flags and table of an entity."""
    entity = draft.entities[name]
    if draw(seldom):
        entity["description"] = draw(texts)
    for flag in ("soft_delete", "versioned"):
        if draw(seldom):
            entity[flag] = draw(st.booleans())
    if not (entity.get("soft_delete") or entity.get("versioned")) and draw(seldom):
        entity["append_only"] = draw(st.booleans())
    own_tables = [table for table in OWN_TABLES if table not in draft.tables]
    if name == TOO_LONG or draw(seldom):
        entity["table"] = draw(st.sampled_from(own_tables))
    draft.tables.add(entity.get("table", TABLES[name]))


@st.composite
def _with_members(draw: st.DrawFn, draft: Draft, name: str) -> None:
    """Draw fields, an owner, references, links and computed fields."""
    entity = draft.entities[name]
    owners = [
        other
        for other in draft.below(name)
        # Owners cannot be nested, and an owner gets a member with the name of the table.
        if "owned_by" not in draft.entities[other] and TABLES[name] not in MEMBERS
    ]
    owns = name in {each.get("owned_by") for each in draft.entities.values()}
    if owners and not owns and draw(seldom):
        entity["owned_by"] = draw(st.sampled_from(owners))
    taken = {"owner", "owner_id"} if "owned_by" in entity else set()
    free = [member for member in draft.free if member not in taken]
    chosen = draw(st.lists(st.sampled_from(free), min_size=1, max_size=7, unique=True))
    half = draw(st.integers(0, len(chosen) // 4))
    entity["fields"] = {member: draw(_any_fields(draft)) for member in chosen[half:]}
    relations = draw(st.lists(st.sampled_from(TARGETS), max_size=3, unique=True))
    links = draw(st.integers(0, len(relations) // 2))
    entity["references"] = {
        relation: draw(_references(draft, name))
        for relation in relations[links:]
        if not {relation, f"{relation}_id"} & set(chosen)
    }
    entity["many_to_many"] = {
        relation: draw(_links(draft, name))
        for relation in relations[:links]
        if relation not in chosen and not entity.get("append_only")
    }
    computable = [value for value in draw(_expressions(entity["fields"])) if value]
    entity["computed"] = {
        member: {"value": value} | ({"description": draw(texts)} if draw(seldom) else {})
        for member, value in zip(chosen[:half], computable, strict=False)
        if member not in entity["references"]
    }
    draft.members[name] = taken | {*chosen, *relations} | {f"{each}_id" for each in relations}


@st.composite
def _with_access(draw: st.DrawFn, draft: Draft, name: str) -> None:
    """Draw who may do what over HTTP, and what links of others show."""
    entity = draft.entities[name]
    owned = "owned_by" in entity
    owns = name in {each.get("owned_by") for each in draft.entities.values()}
    referrers = [other for other in draft.entities.values() if name in _targets(other)]
    # Records of one kind of owner refer to those of another only if every caller reads these.
    revealed = owned and any(
        other.get("owned_by", entity["owned_by"]) != entity["owned_by"] for other in referrers
    )
    if revealed or draw(seldom):
        entity["shared"] = True
    elif draw(seldom):
        entity["shared"] = False
    words = ["any", "admin", "none", *(["owner"] if owned or owns else [])]
    # An API returns something.
    readable = [word for word in words if word != "none" or name != next(iter(draft.entities))]
    choices = {
        "read": ["any"] if entity.get("shared") else readable,
        "create": ["admin", "none", "owner" if owned else "any"],
        "update": ["none"] if entity.get("append_only") else words,
        "delete": ["none"] if entity.get("append_only") else words,
    }
    if draw(often):
        actions = draw(st.lists(st.sampled_from(list(choices)), max_size=4, unique=True))
        entity["access"] = {action: draw(st.sampled_from(choices[action])) for action in actions}
    shown = [member for member, each in entity["fields"].items() if not each.get("secret")]
    is_linked: bool = draw(often)
    if shown and is_linked:
        members = st.lists(st.sampled_from(shown), min_size=1, max_size=3, unique=True)
        entity["public"] = draw(members)


def _targets(entity: Entity) -> set[str]:
    sections = ("references", "many_to_many")
    return {each["to"] for section in sections for each in entity.get(section, {}).values()}


@st.composite
def _references(draw: st.DrawFn, draft: Draft, name: str) -> dict[str, Any]:
    """Draw a reference to any entity, or a required one to an entity of lower rank."""
    to = draw(st.sampled_from(list(draft.entities)))
    reference: dict[str, Any] = {"to": to}
    if to not in draft.below(name) or draw(often):
        reference["optional"] = True
    for flag in ("unique", "immutable"):
        if draw(seldom):
            reference[flag] = draw(st.booleans())
    if reference.get("optional") and draw(seldom):
        reference["read_only"] = draw(st.booleans())
    actions = ["cascade", "restrict"] + ["set_null"] * bool(reference.get("optional"))
    if draw(often):
        reference["on_delete"] = draw(st.sampled_from(actions))
    if draw(seldom):
        reference["on_update"] = draw(st.sampled_from(["cascade", "restrict"]))
    if draw(seldom):
        reference["description"] = draw(texts)
    return reference


@st.composite
def _links(draw: st.DrawFn, draft: Draft, name: str) -> dict[str, Any]:
    """Draw a many-to-many relation, through a junction with any fields of its own."""
    to = draw(st.sampled_from(list(draft.entities)))
    relation: dict[str, Any] = {"to": to}
    through = name + to
    if through in draft.throughs or to == name or len(through) > 40 or draw(seldom):
        through = draw(st.sampled_from([each for each in THROUGHS if each not in draft.throughs]))
        relation["through"] = through
    draft.throughs.add(through)
    if draw(often):
        # The names of entities are taken by the ends of the junction.
        named = st.sampled_from(["label", "weight", "since", "at", "kind", "from_day", "x_2"])
        relation["fields"] = draw(
            st.dictionaries(named, _junction_fields(draft.database), max_size=3)
        )
    return relation


@st.composite
def _junction_fields(draw: st.DrawFn, database: str) -> dict[str, Any]:
    """Draw a field that is optional or has a default, as links require."""
    made = draw(fields(IN_A_JUNCTION, database))
    choices = fitting_values(made)
    if "default" not in made and choices and not made.get("unique") and draw(often):
        made["default"] = draw(st.sampled_from(choices))
    return made if "default" in made else made | {"optional": True}


@st.composite
def _expressions(draw: st.DrawFn, own: dict[str, Any]) -> list[str]:
    """Draw expressions of computed fields: arithmetic, joined strings, and comparisons."""
    # In an expression, `now` is the current time, even if a field has that name.
    shown = {name: each for name, each in own.items() if not each.get("secret") and name != "now"}
    return [draw(_expression(shown)) for _ in range(2)] if shown else []


@st.composite
def _expression(draw: st.DrawFn, shown: dict[str, Any]) -> str:
    first = draw(st.sampled_from(list(shown)))
    kind = shown[first]["type"]
    family = FAMILIES.get(kind)
    # A decimal is exact and a float is not, so the validator rejects mixing them.
    other = {"decimal": "float", "float": "decimal"}.get(kind, "float")
    alike = [
        name
        for name, each in shown.items()
        if FAMILIES.get(each["type"]) == family and (family != "number" or each["type"] != other)
    ]
    comparison = draw(st.sampled_from(["<", "<=", ">", ">=", "==", "!="]))
    if family in ("date", "datetime") and draw(often):
        return f"{first} {comparison} now"
    if family is None:
        return ""
    if family in ("date", "time", "datetime") or draw(seldom):
        return f"{first}{comparison}{draw(st.sampled_from(alike))}"
    literals = ["2", "1.5", "0"] if family == "number" else ["' '", "'it{s} %s :b'", "''", "'\"'"]
    operators = ["+", "-", "*"] if family == "number" else ["+"]
    more = draw(st.lists(st.sampled_from(alike + literals), min_size=1, max_size=3))
    return " ".join([first, *(f"{draw(st.sampled_from(operators))} {each}" for each in more)])


@st.composite
def _with_names_for_others(draw: st.DrawFn, draft: Draft, name: str) -> None:
    """Draw the inverse of each relation, where the default name is taken."""
    entity = draft.entities[name]
    if "owned_by" in entity:
        draft.members[entity["owned_by"]].add(TABLES[name])
    for section in ("references", "many_to_many"):
        for member, relation in entity.get(section, {}).items():
            to = relation["to"]
            default = _singular(name) if relation.get("unique") else TABLES[name]
            if draft.relations(name, to) > 1 or to == name:
                default += f"_as_{member}"
            # The default inverse of the longest name does not follow from its table name.
            if default in draft.members[to] or name == TOO_LONG or draw(seldom):
                free = [each for each in INVERSES if each not in draft.members[to]]
                relation["inverse"] = default = draw(st.sampled_from(free))
            draft.members[to].add(default)


def _singular(name: str) -> str:
    """Return the singular of a table name: without its s, except for irregular plurals."""
    irregular = {
        "Category": "category",
        "Person": "person",
        "Child": "child",
        "Analysis": "analysis",
        "Match": "match",
        "News": "news",
        "Series": "series",
        "Data": "data",
    }
    return irregular.get(name) or TABLES[name].removesuffix("s")


@st.composite
def _with_rules(draw: st.DrawFn, draft: Draft, name: str) -> None:
    """Draw checks between fields, and indexes."""
    entity = draft.entities[name]
    entity["checks"] = draw(_checks(entity["fields"]))
    columns = {
        "id": "id",
        "created_at": "clock",
        "updated_at": "clock",
        **({"deleted_at": "deleted_at"} if entity.get("soft_delete") else {}),
        **({"owner": "reference"} if "owned_by" in entity else {}),
        **dict.fromkeys(entity["references"], "reference"),
        **{member: _kind(each) for member, each in entity["fields"].items()},
    }
    made = draw(st.lists(_indexes(entity, columns, draft.database), max_size=3))
    kept: dict[str, dict[str, Any]] = {}
    for index in made:
        if index and not _is_automatic(index, entity, columns):
            # An entity has at most one fulltext index.
            using = index.get("using")
            on = [index["on"]] if isinstance(index["on"], str) else index["on"]
            kept.setdefault(using if using == "fulltext" else f"{on} {using}", index)
    entity["indexes"] = list(kept.values())


def _kind(each: dict[str, Any]) -> str:
    """Return the type of a field; an array of embedded entities counts as embedded."""
    return "embedded" if each.get("of") in EMBEDDED else str(each["type"])


@st.composite
def _with_principal(draw: st.DrawFn, draft: Draft, name: str) -> None:
    """Draw whether the tokens of an owner are looked up, and the field of an active one."""
    entity = draft.entities[name]
    if name not in {each.get("owned_by") for each in draft.entities.values()} or draw(often):
        return
    # If at most one record could be active, no second owner could be generated.
    unique = {on for index in entity["indexes"] if index.get("unique") for on in index["on"]}
    booleans = [
        member
        for member, each in entity["fields"].items()
        if each["type"] == "boolean" and not each.get("unique") and member not in unique
    ]
    choices: list[Any] = [True, False, *({"active": member} for member in booleans)]
    entity["principal"] = draw(st.sampled_from(choices))


@st.composite
def _checks(draw: st.DrawFn, own: dict[str, Any]) -> dict[str, Any]:
    """Draw rules between two fields of one kind that sample records can satisfy."""
    checks = {}
    # Each field is in one rule only, and has no other bounds: the validator cannot detect rules
    # that contradict each other.
    free = [name for name, each in own.items() if each["type"] in FAMILIES and _is_free(each)]
    for rule in draw(st.lists(st.sampled_from(RULES), max_size=2, unique=True)):
        pairs = [
            (left, right)
            for left in free
            for right in free
            if left != right and FAMILIES[own[left]["type"]] == FAMILIES[own[right]["type"]]
        ]
        if not pairs:
            break
        left, right = draw(st.sampled_from(pairs))
        operators = ["<", "<=", ">", ">=", "!="]
        # Sample words begin with a capital and addresses never do, so one always sorts first.
        if {own[left]["type"], own[right]["type"]} & {"email", "url"}:
            operators = ["!="]
        # Sample values of fields with different options are seldom equal.
        if _shape(own[left]) == _shape(own[right]):
            operators.append("==")
        space = draw(st.sampled_from(["", " "]))
        operator = draw(st.sampled_from(operators))
        checks[rule] = {"rule": f"{left}{space}{operator}{space}{right}", "why": draw(texts)}
        free = [name for name in free if name not in (left, right)]
    return checks


def _is_free(each: dict[str, Any]) -> bool:
    bounds = {"ge", "gt", "le", "lt", "min_length", "pattern", "default", "unique"} & set(each)
    enough = each.get("max_length", 300) >= 20
    return not bounds and enough and each.get("precision", 2) - each.get("scale", 0) >= 2


def _shape(each: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(each.get(option) for option in ("type", "precision", "scale", "max_length"))


@st.composite
def _indexes(
    draw: st.DrawFn, entity: Entity, columns: dict[str, str], database: str
) -> dict[str, Any]:
    """Draw an index of any method; empty if the method supports none of the fields."""
    using = draw(st.sampled_from(["", "", "", *METHODS]))
    reads = METHODS.get(using)
    readable = [
        name
        for name, kind in columns.items()
        if (kind in reads if reads else kind not in UNORDERED)
    ]
    if not readable:
        return {}
    most = 1 if using == "hash" else 3
    on = draw(st.lists(st.sampled_from(readable), min_size=1, max_size=most, unique=True))
    if not using:
        on = [("-" if draw(seldom) else "") + name for name in on]
    index: dict[str, Any] = {"on": on[0] if len(on) == 1 and draw(seldom) else on}
    if using:
        index["using"] = using
    elif draw(seldom):
        index["unique"] = draw(st.booleans())
    if using != "fulltext" and draw(seldom):
        index["where"] = draw(_conditions(entity, columns))
    can_expire = len(on) == 1 and columns.get(on[0]) in EXPIRING
    if database == "mongodb" and can_expire and not using and draw(seldom):
        index["expires_after"] = draw(st.sampled_from([0, 3600, "90s", "30d", "12h", "5m"]))
    index["why"] = draw(texts)
    return {key: value for key, value in index.items() if value != {}}


@st.composite
def _conditions(draw: st.DrawFn, entity: Entity, columns: dict[str, str]) -> dict[str, Any]:
    choices: dict[str, list[Any]] = {}
    for name, kind in columns.items():
        if kind in ("reference", "deleted_at"):
            choices[name] = [None]
        elif kind not in ("id", "clock", "bytes", "json", "array", "embedded"):
            # `now` differs for every record.
            values = [value for value in fitting_values(entity["fields"][name]) if value != "now"]
            choices[name] = [None, *values]
    names = (
        draw(st.lists(st.sampled_from(list(choices)), max_size=3, unique=True)) if choices else []
    )
    return {name: draw(st.sampled_from(choices[name])) for name in names}


def _is_automatic(index: dict[str, Any], entity: Entity, columns: dict[str, str]) -> bool:
    """Whether the template adds this index automatically."""
    on = [index["on"]] if isinstance(index["on"], str) else index["on"]
    if "using" in index or "where" in index:
        return False
    if "owned_by" in entity and on == ["owner", "-created_at"]:
        return True
    only = on[0].removeprefix("-") if len(on) == 1 else ""
    own = entity["fields"].get(only, {})
    return columns.get(only) in ("reference", "id") or own.get("unique") is True or "index" in own


# ---- The number of records that are possible

MANY = 3


def possible_records(entities: Entities) -> dict[str, int]:
    """Return how many records of each entity can exist without duplicates; at most three."""
    counts: dict[str, int] = {}
    entities = {name: each for name, each in entities.items() if not each.get("embedded")}
    while len(counts) < len(entities):
        for name, entity in entities.items():
            needed = [
                each["to"]
                for each in entity.get("references", {}).values()
                if each.get("unique") and not each.get("optional")
            ]
            if name not in counts and all(other in counts for other in needed):
                counts[name] = min([_own_records(entity), *(counts[other] for other in needed)])
    return counts


def _own_records(entity: Entity) -> int:
    own = entity.get("fields", {})
    groups = [[name] for name, each in own.items() if each.get("unique")]
    for index in entity.get("indexes", []):
        # YAML 1.1 reads the bare key as true.
        on = index.get("on", index.get(True))
        on = [on] if isinstance(on, str) else on
        if index.get("unique") and not {"id", "-id"} & set(on):
            groups.append([name.removeprefix("-") for name in on])
    return min([MANY, *(max(_values(own.get(name, {})) for name in group) for group in groups)])


def _values(each: dict[str, Any]) -> int:
    """Return the least number of values of a field; one for a name that is not a field."""
    # Null conflicts with nothing.
    if each.get("optional"):
        return MANY
    if {"ge", "le"} <= each.keys() and each["type"] != "float":
        return min(MANY, int(each["le"] - each["ge"]) + 1)
    if each.get("type") == "boolean":
        return 2
    if each.get("type") == "enum":
        return len(each["values"])
    return MANY if each else 1
