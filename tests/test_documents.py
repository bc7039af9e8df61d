"""docs/schema.md and docs/schema.svg match the models and can be rendered."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.validators import properties
from tests.workshop import Workshop, files, model

pytestmark = pytest.mark.smoke

SVG = "{http://www.w3.org/2000/svg}"

# The reserved words of the lexer of Mermaid 10 and 11.
WORDS = "accDescr accTitle class classDef end erDiagram many one style subgraph title to u"
WORD = rf"(?i:{'|'.join(WORDS.split())})"
NAME = rf"(?!{WORD}\b)[a-z_]\w*"
QUOTED = rf'(?:{NAME}|"[a-z_]\w*")'
MARK = r"(?:key|ref|unique)"
KEYS = rf'(?: (?:PK|FK|UK)(?:, (?:PK|FK|UK))*| "{MARK}(?:, {MARK})*")?'
MERMAID = re.compile(
    r"erDiagram"
    rf"|    {QUOTED}(?: \{{)?"
    rf"|        [a-zA-Z]+(?:\[\])? (?!(?:pk|fk|uk)\b)[a-z_]\w*{KEYS}"
    r"|    \}"
    rf"|    {QUOTED} (?:\|o|\|\||\}}o)--(?:o\||o\{{) {QUOTED} : {QUOTED}"
)


@dataclass(frozen=True)
class Declared:
    """The declarations of the models of a project; on MongoDB, `tables` are collections."""

    tables: set[str] = field(default_factory=set)
    #: The relation of each reference, by `table.field`.
    references: dict[str, str] = field(default_factory=dict)
    #: For each collection its fields, and the reason of each index and each rule by its name.
    fields: dict[str, set[str]] = field(default_factory=dict)
    indexes: dict[str, dict[str, str]] = field(default_factory=dict)
    rules: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Documents:
    """The two documents of a project, and the declarations of its models."""

    text: str
    image: ElementTree.Element
    declared: Declared

    @property
    def diagram(self) -> str:
        return self.text.split("```mermaid\n")[1].split("```")[0]

    @property
    def tables(self) -> set[str]:
        return self.declared.tables

    @property
    def references(self) -> set[str]:
        return {*self.declared.references}

    def section(self, table: str) -> str:
        """Return the section about a table."""
        return next(
            section
            for section in re.split("^## ", self.text, flags=re.MULTILINE)
            if re.search(rf"(Table|Collection) `{table}`", section)
        )


def documents(project: Path) -> Documents:
    """Read the documents and models of a project."""
    declared = Declared()
    for path in project.glob("src/*/models/*.py"):
        source = path.read_text("utf-8")
        if "__tablename__" in source:
            _add_table(source, declared)
        else:
            _add_collection(source, declared)
    image = ElementTree.fromstring((project / "docs/schema.svg").read_bytes())
    return Documents((project / "docs/schema.md").read_text("utf-8"), image, declared)


def _add_table(source: str, declared: Declared) -> None:
    for table in re.findall(r'__tablename__ = "(\w+)"', source):
        declared.tables.add(table)
        for column in re.findall(
            r"^    (\w+_id): Mapped\[.*(?:\n {8}.*)*ForeignKey\(", source, re.M
        ):
            declared.references[f"{table}.{column}"] = column.removesuffix("_id")


def _add_collection(source: str, declared: Declared) -> None:
    """Add the document of a module, if any: the class whose settings declare a collection."""
    for document in (each for each in ast.parse(source).body if isinstance(each, ast.ClassDef)):
        settings = [each for each in document.body if isinstance(each, ast.ClassDef)]
        table = next((_table_of(each) for each in settings), None)
        if table is None:
            continue
        declared.tables.add(table)
        annotated = [each for each in document.body if isinstance(each, ast.AnnAssign)]
        members = [each for each in annotated if "ClassVar" not in ast.unparse(each.annotation)]
        declared.fields[table] = {ast.unparse(member.target) for member in members}
        for member in members:
            name = ast.unparse(member.target)
            for call in _calls(member.annotation, "Refers", "Lists", "End"):
                relation = name.removesuffix("_id") if _name(call) == "End" else _text(call.args[1])
                declared.references[f"{table}.{name}"] = relation
        declared.indexes[table] = _reasons(settings[0], "Index")
        declared.rules[table] = _reasons(settings[0], "Rule")


def _table_of(settings: ast.ClassDef) -> str | None:
    for each in settings.body:
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "name":
            return _text(each.value)
    return None


def _calls(node: ast.AST, *names: str) -> list[ast.Call]:
    calls = [each for each in ast.walk(node) if isinstance(each, ast.Call)]
    return [call for call in calls if _name(call) in names]


def _name(call: ast.Call) -> str:
    return ast.unparse(call.func)


def _text(node: ast.expr) -> str:
    text: str = ast.literal_eval(node)
    return text


def _reasons(node: ast.AST, kind: str) -> dict[str, str]:
    return {
        _text(call.args[0]): _text(keyword.value)
        for call in _calls(node, kind)
        for keyword in call.keywords
        if keyword.arg == "why"
    }


ON_MONGODB = {"orm": "beanie", "database": "mongodb", "primary_key": "objectid"}
SHOWN = ["tasks", "hostile", "organisation", "types", "embedded", "sixty", "wide"]


@pytest.fixture(
    scope="module",
    params=[(name, on) for on in ({}, ON_MONGODB) for name in SHOWN],
    ids=lambda shown: f"{shown[0]}-{shown[1].get('database', 'postgresql')}",
)
def written(request: pytest.FixtureRequest, workshop: Workshop) -> Documents:
    """The documents of the project of a model."""
    name, on = request.param
    return documents(workshop.render(**shown(name) | on))


def shown(name: str) -> dict[str, Any]:
    """Return the answers for a model."""
    made: dict[str, dict[str, Any]] = {"tasks": {}, "sixty": sixty(), "wide": wide()}
    return made[name] if name in made else model(name)


def wide() -> dict[str, Any]:
    """Return entities with so many fields that one box is higher than a layer."""
    fields = {f"field_{number}": {"type": "integer"} for number in range(150)}
    to_one = {"references": {"one": {"to": "One"}}}
    entities = {"One": {"fields": fields}, "Other": to_one, "Alone": {"fields": fields}}
    return {"project_name": "Wide", "package": "wide", "entities": entities}


def sixty() -> dict[str, Any]:
    """Return sixty connected entities, with cycles and trees, so that lines have much to avoid."""
    names = [f"Thing{first}{second}" for first in "ABCDEF" for second in "abcdefghij"]
    entities: dict[str, Any] = {}
    for number, name in enumerate(names):
        references: dict[str, Any] = {
            f"ref_{step}": {"to": names[(number * step) // 7], "on_delete": "cascade"}
            for step in (2, 3, 5)
            if number % step == 0 and (number * step) // 7 < number
        }
        if number % 9 == 4:
            references["parent"] = {"to": name, "optional": True}
        if number % 11 == 3:
            references["later"] = {"to": names[(number + 7) % 60], "optional": True, "unique": True}
        entities[name] = {"fields": {"name": {"type": "string"}}, "references": references}
    return {"project_name": "Sixty", "package": "sixty", "entities": entities}


# ---- The diagram in Mermaid


def test_the_diagram_is_valid_mermaid(written: Documents) -> None:
    lines = written.diagram.splitlines()
    assert lines[0] == "erDiagram"
    assert [line for line in lines if not MERMAID.fullmatch(line)] == []
    assert len(written.diagram) < 50_000


def test_the_diagram_has_each_table_and_each_reference(written: Documents) -> None:
    boxes = re.findall(r'^    "?(\w+)"? \{', written.diagram, re.M)
    assert sorted(boxes) == sorted(written.tables)
    lines = re.findall(r'--.. "?(\w+)"? : "?(\w+)"?', written.diagram)
    assert sorted(f"{table}.{name}" for table, name in lines) == sorted(
        f"{at.split('.')[0]}.{name}" for at, name in written.declared.references.items()
    )


@pytest.mark.parametrize(
    "line",
    [
        "departments |o--o{ departments : parent",
        "employees |o--o{ departments : manager",
        "departments ||--o{ employees : department",
        "users |o--o| employees : account",
        "users ||--o{ projects : owner",
        "employees ||--o{ employee_skills : employee",
        "skills ||--o{ employee_skills : skill",
    ],
)
def test_a_line_shows_the_cardinality(line: str, workshop: Workshop) -> None:
    written = documents(workshop.render(**model("organisation")))
    assert f"    {line}\n" in written.diagram


def test_reserved_words_of_mermaid_can_be_names(workshop: Workshop) -> None:
    tables = ["end", "style", "one", "many", "u", "title", "subgraph"]
    entities = {
        f"Named{number}": {
            "table": table,
            "fields": {name: {"type": "string"} for name in ("pk", "fk", "uk")},
            "references": {"end": {"to": "Named0", "optional": True}},
        }
        for number, table in enumerate(tables)
    }
    written = documents(workshop.render(package="named", entities=entities))
    assert [line for line in written.diagram.splitlines() if not MERMAID.fullmatch(line)] == []
    assert '    "end" |o--o{ "style" : "end"\n' in written.diagram
    assert "        string pk_\n" in written.diagram


def test_a_large_diagram_shows_only_keys(workshop: Workshop) -> None:
    written = documents(workshop.render(**sixty()))
    assert "it shows keys only" in written.text
    assert " name" not in written.diagram
    assert all(text.text != "name" for text in written.image.iter(f"{SVG}text"))


@pytest.mark.parametrize(
    ("references", "said"), [(6, "it shows names only"), (9, "cannot draw this many tables")]
)
def test_a_diagram_above_the_limit_of_mermaid_is_reduced(
    references: int, said: str, workshop: Workshop
) -> None:
    names = [f"{'Wide' * 10}{chr(65 + number // 10)}{number % 10}" for number in range(40)]
    entities = {
        name: {
            "fields": {"name": {"type": "string"}},
            "references": {
                f"{'far_' * 10}{each}": {
                    "to": names[each],
                    "optional": True,
                    "inverse": f"by_{each}_of_{number}",
                }
                for each in range(references)
            },
        }
        for number, name in enumerate(names)
    }
    project = workshop.render(package="long", entities=entities)
    text = (project / "docs/schema.md").read_text("utf-8")
    assert said in text
    diagram = text.split("```mermaid\n")[1].split("```")[0] if "```mermaid" in text else ""
    assert len(diagram) < 50_000
    assert [line for line in diagram.splitlines() if not MERMAID.fullmatch(line)] == []


# ---- The image


@dataclass(frozen=True)
class Box:
    """A table in the image."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Whether the two boxes overlap."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


def boxes(image: ElementTree.Element) -> dict[str, Box]:
    """Return the box of each table."""
    found = {}
    for group in image.iterfind(f"{SVG}g[@id]"):
        rect = group.find(f"{SVG}rect")
        assert rect is not None
        x, y, width, height = (float(rect.attrib[name]) for name in ("x", "y", "width", "height"))
        found[group.attrib["id"]] = Box(x, y, x + width, y + height)
    return found


def lines(image: ElementTree.Element) -> dict[str, str]:
    """Return the path of each reference."""
    return {
        path.attrib["id"]: path.attrib["d"]
        for path in image.iterfind(f"{SVG}path")
        if "line" in path.attrib["class"].split()
    }


def strokes(path: str) -> list[Box]:
    """Return the segments of a path as thin boxes, without the symbols at its ends."""
    found: list[Box] = []
    x = y = 0.0
    for command, text in re.findall(r"([A-Za-z])([^A-Za-z]*)", path):
        numbers = [float(number) for number in text.split()]
        before = (x, y)
        match command:
            case "H":
                x = numbers[0]
            case "V":
                y = numbers[0]
            case "h":
                x += numbers[0]
            case "v":
                y += numbers[0]
            case "m" | "a":
                x, y = x + numbers[-2], y + numbers[-1]
            case _:
                x, y = numbers[-2:]
        if command not in "MmaL":
            (left, right), (top, bottom) = sorted((before[0], x)), sorted((before[1], y))
            found.append(Box(left, top - 0.1, right, bottom + 0.1))
    return found


def test_the_image_has_a_box_for_each_table_and_a_line_for_each_reference(
    written: Documents,
) -> None:
    assert {*boxes(written.image)} == written.tables
    assert {*lines(written.image)} == written.references


def test_boxes_are_inside_the_image_and_do_not_overlap(written: Documents) -> None:
    found = boxes(written.image)
    _, _, width, height = (float(number) for number in written.image.attrib["viewBox"].split())
    assert [name for name, box in found.items() if box.left < 0 or box.top < 0] == []
    assert [name for name, box in found.items() if box.right > width or box.bottom > height] == []
    pairs = combinations(found.items(), 2)
    assert [(one[0], other[0]) for one, other in pairs if one[1].meets(other[1])] == []


def test_no_line_runs_through_a_box(written: Documents) -> None:
    found = boxes(written.image)
    assert [
        (line, table)
        for line, path in lines(written.image).items()
        for stroke in strokes(path)
        for table, box in found.items()
        if stroke.meets(box)
    ] == []


def test_a_line_starts_and_ends_at_its_tables(written: Documents) -> None:
    found = boxes(written.image)
    targets = dict(re.findall(r"(\w+\.\w+) refers to (\w+)", "\n".join(written.image.itertext())))
    for name, path in lines(written.image).items():
        edges = {edge for stroke in strokes(path) for edge in (stroke.left, stroke.right)}
        for table in (name.split(".")[0], targets[name]):
            assert {found[table].left, found[table].right} & edges, name


def test_descriptions_are_escaped_in_the_image(workshop: Workshop) -> None:
    answers = model("hostile")
    titles = {
        title.text
        for title in documents(workshop.render(**answers)).image.iterfind(f"{SVG}g/{SVG}title")
    }
    for entity in answers["entities"].values():
        described = " ".join(entity.get("description", "").split())
        assert not described or {described, f"{described}."} & titles


@pytest.mark.parametrize("name", ["hostile", "organisation", "types"])
def test_diagrams_do_not_depend_on_the_database(name: str, workshop: Workshop) -> None:
    one, other = (
        workshop.render(**model(name) | {"database": database})
        for database in ("postgresql", "sqlite")
    )
    assert (one / "docs/schema.svg").read_bytes() == (other / "docs/schema.svg").read_bytes()
    assert documents(one).diagram == documents(other).diagram


# ---- Relations, indexes and rules in the text


@pytest.fixture(scope="module")
def words(workshop: Workshop) -> str:
    """docs/schema.md of a model with every kind of relation."""
    return (workshop.render(**RELATED) / "docs/schema.md").read_text("utf-8")


RELATED: dict[str, Any] = {
    "project_name": "Related",
    "package": "related",
    "primary_key": "integer",
    "entities": {
        "User": {"fields": {"name": {"type": "string"}}},
        "Store": {
            "fields": {"name": {"type": "string"}, "total": {"type": "float"}},
            "references": {"manager": {"to": "Staff", "unique": True, "inverse": "managed_store"}},
            "many_to_many": {
                "brands": {"to": "Brand", "fields": {"since": {"type": "date", "default": "now"}}}
            },
        },
        "Brand": {
            "shared": True,
            "access": {"update": "none"},
            "fields": {"name": {"type": "string"}},
            "many_to_many": {"made_by": {"to": "Address", "inverse": "makes", "through": "Maker"}},
        },
        "Staff": {
            "fields": {"notes": {"type": "text", "optional": True}},
            "references": {
                "store": {"to": "Store", "optional": True, "on_delete": "set_null"},
                "superior": {"to": "Staff", "optional": True, "inverse": "reports"},
            },
        },
        "Order": {
            "owned_by": "User",
            "soft_delete": True,
            "fields": {
                "size": {"type": "integer", "ge": 1, "index": "Reports sort by it."},
                "code": {"type": "bigint"},
            },
            "references": {
                "placed_by": {"to": "Staff"},
                "approved_by": {"to": "Staff", "optional": True, "inverse": "approvals"},
                "address": {
                    "to": "Address",
                    "unique": True,
                    "optional": True,
                    "on_update": "restrict",
                },
            },
            "checks": {"fits": {"rule": "size <= code", "why": "It has to fit."}},
        },
        "Address": {"public": ["line"], "fields": {"line": {"type": "string"}}},
        "OrderLine": {
            "fields": {"amount": {"type": "integer"}, "tags": {"type": "array", "of": "string"}},
            "references": {"order": {"to": "Order", "on_delete": "cascade"}},
            "indexes": [{"on": ["tags"], "using": "gin", "why": "Found by tag."}],
        },
        "Parcel": {
            "fields": {"weight": {"type": "integer"}},
            "references": {
                "line": {"to": "OrderLine", "on_delete": "cascade"},
                "order": {"to": "Order", "optional": True, "on_delete": "cascade"},
            },
        },
        "Claim": {
            "access": {"create": "any", "update": "any"},
            "fields": {"text": {"type": "string"}},
            "references": {"parcel": {"to": "Parcel", "on_delete": "restrict"}},
        },
    },
}


@pytest.mark.parametrize(
    "sentence",
    [
        # one to one, and back
        "Each store has one manager (a staff); a staff has at most one managed store.",
        "Each order has at most one address; an address has at most one order.",
        # optional
        "Each staff has at most one store; a store has any number of staff.",
        # to itself
        "Each staff has at most one superior (a staff), and has any number of reports.",
        # two to the same, one with an inverse of its own
        "Each order is placed by one staff; a staff has any number of orders placed by it.",
        "Each order is approved by at most one staff; "
        "a staff has any number of approvals (orders).",
        # the owner
        "Each order has one owner (a user); a user has any number of orders.",
        # many to many, from both ends and from the middle
        "A store has any number of brands, through `store_brands`.",
        "A brand has any number of stores, through `store_brands`.",
        "A brand is made by any number of addresses, through `makers`.",
        "An address has any number of makes (brands), through `makers`.",
        "Each row links a store to a brand and has `since`.",
        # deletes and updates
        "CASCADE: orders are deleted with their owner.",
        "CASCADE: parcels that have an order are deleted with it.",
        "CASCADE: the link is deleted, the other end stays.",
        "SET NULL: staff remain without a store.",
        "RESTRICT: a staff cannot be deleted while orders refer to it.",
        "CASCADE: the reference is updated.",
        "RESTRICT: a referenced key cannot change.",
        # the other direction, at the referenced table
        "Referred to by `orders.owner_id`.",
    ],
)
def test_the_text_describes_a_relation(sentence: str, words: str) -> None:
    assert sentence in words


@pytest.mark.parametrize(
    "sentence",
    [
        "**Deleting a user** also deletes its orders, and with them order lines and parcels. "
        "It fails while `claims.parcel_id` refers to one of them.",
        "**Removing an order permanently** also deletes its order lines and parcels.",
        "**RESTRICT prevents deleting a referenced row**: a staff (by stores and orders) "
        "and a parcel (by claims). Soft-deleted orders count until they are deleted permanently.",
        "**Cascades ignore soft delete**: they permanently delete the orders of an owner",
        "**Soft-deleted rows are still referenced** by `order_lines.order_id`",
        "**`staff.store_id` closes a cycle of references**",
        "**A row can be its own ancestor** through `staff.superior_id`",
        "**Unique but nullable**: `orders.address_id`.",
        "**No maximum length** is set for `staff.notes` and `order_lines.tags`",
        "**Amounts stored as floating point**: `stores.total`",
        "**JavaScript rounds integers above 2^53**, which `orders.code`",
        "**Lists ignore indexes without the owner**: `orders.size`. For a filter or an order of "
        "lists, use `{on: [owner, size]}`.",
        "**Unique across owners**: `orders.address_id`. A conflict tells a caller that another "
        "owner has the value. If it only has to be unique for one owner, use "
        "`{on: [owner, address], unique: true}`.",
    ],
)
def test_the_text_describes_a_risk(sentence: str, words: str) -> None:
    assert sentence in " ".join(words.split())


@pytest.mark.parametrize(
    "sentence",
    [
        "| users | the user itself, admins | admins | admins | admins |",
        "| brands | every caller | admins | no one | admins |",
        "| orders | its owner | any user, as the owner | its owner | its owner |",
        "| claims | admins | every caller | every caller | admins |",
        "- The user of a token is at `/users/me`.",
        "- Callers who may not read addresses see only `id` and `line` of linked ones.",
    ],
)
def test_the_text_says_who_may_do_what(sentence: str, words: str) -> None:
    assert sentence in words.split("## Access")[1].split("## Trade-offs")[0]


def test_a_model_without_risks_has_no_such_section(workshop: Workshop) -> None:
    entities = {"Note": {"fields": {"name": {"type": "string", "max_length": 10}}}}
    project = workshop.render(package="plain", api=False, entities=entities)
    text = (project / "docs/schema.md").read_text("utf-8")
    assert "## Trade-offs" in text
    assert "## Risks" not in text
    for absent in ("foreign key", "Enums", "JSON", "Soft-deleted rows", "| reference |"):
        assert absent not in text


@pytest.fixture(scope="module")
def words_of_documents(workshop: Workshop) -> str:
    """docs/schema.md of the same model on MongoDB."""
    return (workshop.render(**RELATED | ON_MONGODB) / "docs/schema.md").read_text("utf-8")


@pytest.mark.parametrize(
    "sentence",
    [
        "9 entities, 1 collection of links and 1 list of keys,",
        # one to one, to itself, the owner
        "Each store has one manager (a staff); a staff has at most one managed store.",
        "Each staff has at most one superior (a staff), and has any number of reports.",
        "Each order has one owner (a user); a user has any number of orders.",
        # many to many, by links and by a list
        "A store has any number of brands, through `store_brands`.",
        "Each document links a store to a brand and has `since`.",
        "| `made_by_ids` | array of objectId | no | `[]` | |",
        "| `made_by_ids` | `addresses` | A brand is made by any number of addresses; "
        "an address has any number of makes (brands). | The key is removed from the list. |",
        "An address has any number of makes (brands), which list its key in `made_by_ids`.",
        "| `ix_brands_made_by_ids` | `made_by_ids` (multikey) |",
        "Referred to by `stores.manager_id`",
        # deletes
        "Cascade: orders are deleted with their owner.",
        "Cascade: the link is deleted, the other end stays.",
        "Set to null: staff remain without a store.",
        "Restrict: a staff cannot be deleted while orders refer to it.",
        # unique, among values that are not null
        "`address_id`, unique, only where `deleted_at` is null and `address_id` is not null",
        # rules
        "| `size <= code` | `$expr`, `ck_orders_fits` | It has to fit. |",
        "| `size` | `minimum: 1` | Size is at least 1. |",
        # risks
        "**Lists of keys grow without bound**: `brands.made_by_ids`.",
        "**The repository prevents deleting a referenced document**: a staff",
        "**A document can be its own ancestor** through `staff.superior_id`",
    ],
)
def test_the_text_describes_a_relation_on_mongodb(sentence: str, words_of_documents: str) -> None:
    assert sentence in " ".join(words_of_documents.split())


@pytest.mark.parametrize("name", [*SHOWN[:5], "shop", "blog"])
def test_the_text_matches_the_model_of_a_collection(name: str, workshop: Workshop) -> None:
    answers = {"starter": name} if name in ("shop", "blog") else shown(name)
    folder = workshop.render(**answers | ON_MONGODB)
    written, asked = documents(folder), properties(files(folder))
    for table in written.tables:
        cells = [
            line.strip("| ").split(" | ")
            for line in written.section(table).splitlines()
            if line.startswith("| ")
        ]
        first = {row[0].strip("`"): row for row in cells}
        assert written.declared.fields[table] <= first.keys()
        for index, why in written.declared.indexes[table].items():
            assert _plain(first[index][2]).startswith(why), index
        rules = {row[1].split("`")[-2]: row for row in cells if "$expr`, " in row[1]}
        assert rules.keys() == written.declared.rules[table].keys()
        for rule, why in written.declared.rules[table].items():
            assert _plain(rules[rule][2]) == why, rule
        bounds = [row for row in cells if re.match("`(min|max)", row[1])]
        for row in bounds:
            told = dict(part.split(": ") for part in row[1].strip("`").split(", "))
            kept = asked[table][row[0].strip("`")]
            for name, value in told.items():
                if abs(_number(value)) < 2**31 - 1:  # beyond, the type itself is the limit
                    assert _number(kept[name]) == _number(value), (table, row)


def _number(value: Any) -> float:
    return float({"true": 1}.get(value, value) if isinstance(value, str) else value)


def _plain(markdown: str) -> str:
    return re.sub(r"\\(.)", r"\1", markdown)


@pytest.mark.parametrize(
    ("kept", "index", "said"),
    [
        ({"type": "json"}, {"using": "gin"}, "`it.$**` (wildcard)"),
        ({"type": "array", "of": "string"}, {"using": "gin"}, "`it` (multikey)"),
        ({"type": "string"}, {"using": "hash"}, "`it` (hashed)"),
        ({"type": "string"}, {"using": "fulltext"}, "`it` (text)"),
        ({"type": "string"}, {"unique": True}, "`it`, unique"),
        (
            {"type": "string", "optional": True},
            {"unique": True},
            "`it`, unique, only where `it` is not null",
        ),
        ({"type": "boolean"}, {"where": {"it": True}}, "`it`, only where `it` is `true`"),
        ({"type": "datetime"}, {"expires_after": "7d"}, "`it`, TTL"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_the_text_describes_an_index_on_mongodb(
    kept: dict[str, Any], index: dict[str, Any], said: str, workshop: Workshop
) -> None:
    entities = {
        "Thing": {"fields": {"it": kept}, "indexes": [{"on": ["it"], "why": "Why.", **index}]}
    }
    project = workshop.render(package="one", entities=entities, **ON_MONGODB)
    assert f"| {said} | Why." in (project / "docs/schema.md").read_text("utf-8")


def test_the_text_shows_the_condition_of_a_rule(words: str) -> None:
    assert "| `ck_orders_fits` | `size <= code` | It has to fit. |" in words


@pytest.mark.parametrize("database", ["postgresql", "sqlite"])
def test_the_text_marks_an_unsupported_index_as_omitted(database: str, workshop: Workshop) -> None:
    project = workshop.render(**RELATED | {"database": database})
    said = "Omitted: this database has no gin indexes, so such queries read every row."
    assert (said in (project / "docs/schema.md").read_text("utf-8")) == (database == "sqlite")
