"""User input stays data: it never becomes code or a template, and never breaks a format."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from markdown_it import MarkdownIt

from tests.workshop import Workshop, files, model

pytestmark = pytest.mark.smoke

HOSTILE = model("hostile")

CELL = re.compile(r"(?:\\.|[^|\\])+")

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])

# Texts that begin or contain what Markdown reads as something else than text.
INLINE = [
    "*one* **two** _three_ __four__ ~~five~~ $x$ `code` ``more`` and an open `",
    "<b>bold</b> <!-- open <script>alert(1)</script> &lt;b&gt; &copy; &#42; R&D",
    "[a link](https://example.com) ![an image](x.png) [^1] [x] https://example.com/a_b_c?d=*e*",
    "{{ 7*7 }} {% raw %} {# no #} ${HOME} | a | b | and a backslash \\",
]
BLOCKS = [
    "- An item",
    "+ An item",
    "1. A first item",
    "2) A second item",
    "# A heading #",
    "> A quotation",
    "* * *",
    "~~~ fenced",
    "[reference]: https://example.com",
]
LINES = [
    "One line\n\n# A heading\n\n- An item",
    "One\n===\ntwo\n---\n| a | b |\n|---|---|",
    "A break  \n    an indent\n\ta tab",
]
PROSE = INLINE + BLOCKS + LINES
VALUES = ["a|b", "`x`", "``", "*a* <b> \\ $x$", "{{ 7*7 }} [a](b)", "&lt;", "a  b"]

# A text without any syntax, and its number.
PLAIN = re.compile(r"q(\d+)q\.?")


@pytest.fixture(scope="module", params=["postgresql", "sqlite"])
def project(request: pytest.FixtureRequest, workshop: Workshop) -> Path:
    """A project with the hostile model."""
    return workshop.render(**HOSTILE | {"database": request.param})


@pytest.fixture(scope="module", params=["hostile", "odd", "organisation", "types"])
def schema_document(request: pytest.FixtureRequest, workshop: Workshop) -> str:
    """The docs/schema.md of each of the models."""
    return (workshop.render(**model(request.param)) / "docs/schema.md").read_text("utf-8")


def test_no_user_text_is_rendered(project: Path) -> None:
    """Check that `{{ 7*7 }}` does not become 49."""
    texts = files(project)
    assert [path for path, text in texts.items() if re.search(r"\b49\b", text)] == []
    assert "{{ 7*7 }}" in texts["data_model.yml"]


def test_the_description_of_the_project_is_preserved(project: Path) -> None:
    settings = files(project)["pyproject.toml"]
    assert tomllib.loads(settings)["project"]["description"] == HOSTILE["description"]


@pytest.mark.parametrize("name", ["data_model.yml", ".copier-answers.yml"])
def test_the_order_of_the_model_is_preserved(project: Path, name: str) -> None:
    stored = yaml.safe_load((project / name).read_text("utf-8"))["entities"]
    assert json.dumps(stored) == json.dumps(HOSTILE["entities"])


@pytest.mark.parametrize("entity", HOSTILE["entities"])
def test_the_description_of_an_entity_is_its_docstring(project: Path, entity: str) -> None:
    described = HOSTILE["entities"][entity].get("description")
    docstring = ast.get_docstring(_class(project, entity))
    assert docstring
    if described:
        assert " ".join(docstring.split()) == _sentence(described)


@pytest.mark.parametrize("entity", HOSTILE["entities"])
def test_every_reason_is_in_the_model(project: Path, entity: str) -> None:
    content = HOSTILE["entities"][entity]
    reasons = {check["why"] for check in content.get("checks", {}).values()}
    reasons |= {field["index"] for field in content["fields"].values() if "index" in field}
    reasons |= {
        index["why"]
        for index in content.get("indexes", [])
        if "using" not in index or "asyncpg" in (project / "pyproject.toml").read_text("utf-8")
    }
    assert {_sentence(reason) for reason in reasons} - _texts(
        _module(project, "models", entity)
    ) == set()


@pytest.mark.parametrize("entity", HOSTILE["entities"])
def test_every_text_of_a_field_is_in_model_and_schema(project: Path, entity: str) -> None:
    in_model = _texts(_module(project, "models", entity))
    in_schema = _texts(_module(project, "schemas", entity))
    for name, field in HOSTILE["entities"][entity]["fields"].items():
        if "pattern" in field:
            assert field["pattern"] in in_schema
        if "description" in field:
            assert _sentence(field["description"]) in in_model & in_schema, name
        if field["type"] in ("string", "text", "email", "url") and "default" in field:
            assert field["default"] in in_model & in_schema, name
        if field["type"] == "json" and "default" in field:
            assert field["default"] in [*_literals(_module(project, "schemas", entity))]
            assert field["default"] in [*_json(in_model)]


def test_every_value_of_an_enum_is_a_member(project: Path) -> None:
    values = HOSTILE["entities"]["Order"]["fields"]["null"]["values"]
    [enum] = [
        node
        for node in _module(project, "models", "Order").body
        if isinstance(node, ast.ClassDef) and "StrEnum" in map(ast.unparse, node.bases)
    ]
    members = {
        ast.unparse(node.targets[0]): ast.literal_eval(node.value)
        for node in enum.body
        if isinstance(node, ast.Assign)
    }
    assert [*members.values()] == values


def test_tables_of_the_schema_document_are_well_formed(schema_document: str) -> None:
    """Check that no pipe or line break in a cell changes the number of cells in its row."""
    for paragraph in schema_document.split("\n\n"):
        if paragraph.startswith("|"):
            assert len({len(CELL.findall(row)) for row in paragraph.strip().split("\n")}) == 1
            assert all(
                row.startswith("|") and row.endswith("|") for row in paragraph.strip().split("\n")
            )


def test_html_in_a_description_is_escaped(project: Path) -> None:
    """Check that no `<` outside code opens an element or a comment."""
    prose = re.sub(r"`[^`\n]*`", "", files(project)["docs/schema.md"])
    assert re.findall(r"(?<!\\)<", prose) == []


@pytest.mark.parametrize("database", ["sqlite", "mongodb"])
def test_user_text_is_text_in_every_document(workshop: Workshop, database: str) -> None:
    """Check that hostile texts leave the same headings, cells, links, code and HTML as plain."""
    plain = [f"q{number}q" for number in range(len(PROSE))]
    values = [f"v{number}v" for number in range(len(VALUES))]
    hostile = _documents(workshop.render(**_answers(PROSE, VALUES, database)))
    expected = _documents(workshop.render(**_answers(plain, values, database)))
    assert hostile.keys() == expected.keys() >= {"README.md", "AGENTS.md", "docs/schema.md"}
    for path in expected:
        assert _contents(hostile[path]) == _contents(expected[path], PROSE), path


@pytest.mark.parametrize("text", INLINE + BLOCKS[:5])
def test_the_name_and_description_of_a_project_are_text(workshop: Workshop, text: str) -> None:
    answers = {
        "package": "acme",
        "database": "sqlite",
        "entities": {"Thing": {"fields": {"name": {"type": "string"}}}},
    }
    name = text[:80].strip()
    project = workshop.render(project_name=name, description=text, **answers)
    plain = workshop.render(project_name="q0q", description="q1q", **answers)
    expected = _documents(plain)
    for path, document in _documents(project).items():
        assert _contents(document) == _contents(expected[path], [name, text]), path
    diagram = ElementTree.parse(project / "docs/schema.svg").getroot()
    assert name in "".join(diagram.itertext())
    for path, source in files(project).items():
        if path.endswith(".py"):
            ast.parse(source, path)


def _answers(prose: Sequence[str], values: Sequence[str], database: str) -> dict[str, Any]:
    """Return answers in which each text describes an entity, and whatever else can be described."""
    entities: dict[str, Any] = {}
    for number, text in enumerate(prose):
        value = values[number % len(values)]
        entities[f"Entity{number}"] = {
            "description": text,
            "fields": {
                "name": {"type": "string", "default": value, "index": text, "description": text},
                "kind": {"type": "enum", "values": [value, "other"], "default": value},
                "starts": {"type": "date"},
                "ends": {"type": "date"},
            },
            "checks": {"order": {"rule": "ends >= starts", "why": text}},
            "indexes": [{"on": ["starts"], "where": {"kind": value}, "why": text}],
        }
    for number, text in enumerate(prose[:4]):
        entity = entities[f"Entity{number}"]
        itself = {"to": f"Entity{number}", "description": text}
        part = {"type": "embedded", "of": f"Part{number}", "description": text}
        entity["fields"]["part"] = part
        entity["computed"] = {"late": {"value": "ends < starts", "description": text}}
        entity["references"] = {"parent": {**itself, "optional": True, "inverse": "children"}}
        entity["many_to_many"] = {
            "others": {**itself, "inverse": "them", "through": f"Link{number}"}
        }
        entities[f"Part{number}"] = {
            "description": prose[-number],
            "embedded": True,
            "fields": {"name": {"type": "string", "max_length": 20, "description": text}},
        }
    orm = {"database": database} | ({"orm": "beanie"} if database == "mongodb" else {})
    return {"project_name": "Acme", "entities": entities, **orm}


def _documents(project: Path) -> dict[str, str]:
    return {path: text for path, text in files(project).items() if path.endswith(".md")}


def _contents(document: str, prose: Sequence[str] = ()) -> list[tuple[str, ...]]:
    """Return the elements and texts of a document, with `prose` instead of the plain texts."""
    found: list[tuple[str, ...]] = [("text", "")]
    for block in MARKDOWN.parse(document):
        for token in [block, *(block.children or [])]:
            if token.type in ("text", "softbreak"):
                text = _restored(token.content if token.type == "text" else " ", prose)
                # What is escaped begins another token.
                if found[-1][0] == "text":
                    text = found.pop()[1] + text
                found.append(("text", text))
            elif token.type == "inline":
                found.append((token.type,))
            else:
                content = _restored(token.content, prose) if "html" in token.type else ""
                found.append((token.type, token.tag, content, str(token.attrs)))
    return found


def _restored(text: str, prose: Sequence[str]) -> str:
    """Return a text with `prose` instead of plain texts, as a sentence if it ends like one."""

    def restore(plain: re.Match[str]) -> str:
        whole = prose[int(plain[1])]
        return _sentence(whole) if plain[0].endswith(".") else whole

    return PLAIN.sub(restore, text) if prose else text


def _sentence(text: str) -> str:
    line = " ".join(text.split())
    return line if line[-1:] in (".", "!", "?", "") else f"{line}."


def _module(project: Path, folder: str, entity: str) -> ast.Module:
    """Return the module that defines the entity's class."""
    name = entity + ("Create" if folder == "schemas" else "")
    for path in (project / "src/hostile" / folder).glob("*.py"):
        module = ast.parse(path.read_text("utf-8"))
        if any(isinstance(node, ast.ClassDef) and node.name == name for node in module.body):
            return module
    raise LookupError(f"no module in {folder} defines {name}")


def _class(project: Path, entity: str) -> ast.ClassDef:
    module = _module(project, "models", entity)
    return next(
        node for node in module.body if isinstance(node, ast.ClassDef) and node.name == entity
    )


def _texts(module: ast.Module) -> set[str]:
    return {
        node.value
        for node in ast.walk(module)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def _literals(module: ast.Module) -> Iterator[Any]:
    """Yield the value of every literal mapping and list."""
    for node in ast.walk(module):
        if isinstance(node, ast.Dict | ast.List):
            with suppress(ValueError):
                yield ast.literal_eval(node)


def _json(texts: set[str]) -> Iterator[Any]:
    for text in texts:
        with suppress(ValueError):
            yield json.loads(text)
