"""The update to 0.2.0: merge the user's edits of moved files into the new places.

In 0.2.0 the modules of a project moved into packages. Copier merges edits by path, so it deletes a
moved file together with what its user wrote in it. `_migrations` of copier.yml runs this script
after Copier has written the new files:

    python v0_2_0.py OLD_COMMIT ANSWERS_FILE PACKAGE

It runs in the project's folder. `copier update` requires a clean working tree, so the user's files
are those of HEAD, whatever Copier has done to the working tree since; this script never writes to
the history. What was generated is rendered again from OLD_COMMIT, as the base of a three-way merge.
Running it again changes nothing.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import copier
import yaml

# Where a module of `src/<package>/` was, and where it is now, without the ending.
MODULES = {
    "api/queries": "api/list_parameters",
    "api/serving": "development/serving",
    "applying": "migrating/runner",
    "catalog": "migrating/introspection",
    "comparing": "migrating/comparison",
    "constraints": "database/constraints",
    "database": "database/sessions",
    "dev": "development/environment",
    "documents": "database/mapping",
    "driver": "database/driver",
    "extensions": "migrating/extensions",
    "faking": "development/fake_data",
    "fields": "models/field_types",
    "local_database": "development/local_database",
    "local_mariadb": "development/local_mariadb",
    "local_mongodb": "development/local_mongodb",
    "local_postgres": "development/local_postgres",
    "local_server": "development/local_server",
    "migrating": "migrating/commands",
    "neon": "database/neon",
    "operations": "migrating/operations",
    "pagination": "repositories/pagination",
    "refusals": "database/violations",
    "revisions": "development/revision_file",
    "sample_data": "development/sample_data",
    "seeding": "development/seeding",
    "surroundings": "development/sample_constraints",
    "sync_database": "database/sync_sessions",
    "sync_driver": "database/sync_driver",
    "validators": "database/validators",
    "values": "models/bson_types",
    "verbatim": "migrating/literal_sql",
}

# The same in `tests/`.
TESTS = {
    "costs": "data_layer/costs",
    "counting": "data_layer/statement_count",
    "entities": "data_layer/entities",
    "modelled": "data_layer/model_relations",
    "proxy": "data_layer/proxy",
    "round_trips": "data_layer/round_trips",
    "server": "data_layer/server",
    "stored": "data_layer/direct_access",
    "sync_things": "data_layer/sync_scratch",
    "sync_world": "data_layer/sync_world",
    "test_api": "data_layer/test_api",
    "test_database": "data_layer/test_database",
    "test_integrity": "data_layer/test_integrity",
    "test_links": "data_layer/test_links",
    "test_migrations": "data_layer/test_migrations",
    "test_neon": "data_layer/test_neon",
    "test_outages": "data_layer/test_outages",
    "test_relations": "data_layer/test_relations",
    "test_repositories": "data_layer/test_repositories",
    "test_round_trips": "data_layer/test_round_trips",
    "test_sample_data": "data_layer/test_sample_data",
    "test_schemas": "data_layer/test_schemas",
    "test_search": "data_layer/test_search",
    "test_settings": "data_layer/test_settings",
    "test_sync_database": "data_layer/test_sync_database",
    "test_sync_outages": "data_layer/test_sync_outages",
    "things": "data_layer/scratch",
    "world": "data_layer/world",
}

# Two modules are packages now. What is imported from one of them is in the module named first, but
# for these names.
PACKAGES = {
    "database": {
        *("Connection", "Database", "Health", "Operation", "ReadSession", "Session"),
        *("SyncDatabase", "SyncReadSession", "SyncSession", "SyncWriteSession", "WriteSession"),
    },
    "migrating": set[str](),
}

# Names that have another name now, or are in another module, by the module that they were in.
NAMES: dict[str, dict[str, str]] = {
    "api.problems": {
        "answer_data_layer_error": "handle_data_layer_error",
        "answer_http_error": "handle_http_error",
        "answer_invalid_request": "handle_invalid_request",
        "answer_unexpected_error": "handle_unexpected_error",
    },
    "api.serving": {"invitation": "startup_message"},
    "comparing": {"is_made": "is_created"},
    "constraints": {"Violated": "Violation", "violated": "violation_of"},
    "driver": {
        "EXAMPLE_URL": "settings:EXAMPLE_URL",
        "MongoURL": "settings:MongoURL",
        "NAMES_BROKEN_REFERENCES": "REPORTS_BROKEN_REFERENCES",
        "is_unknown": "is_outcome_unknown",
        "is_void": "is_transient",
        "keep_rules": "set_up_connections",
        "parse_url": "settings:parse_url",
    },
    "faking": {
        "fitting": "until_valid",
        "moment": "random_timestamp",
        "moment_after": "random_timestamp_after",
    },
    "local_database": {"throw_away_database": "temporary_database"},
    "migrating": {"write_revision": "development.revisions:write_revision"},
    "neon": {
        "direct_host": "settings:direct_host",
        "encryption": "settings:encryption",
        "is_pooled": "settings:is_pooled",
    },
    "refusals": {"Refusal": "Violation", "refused": "violation_of"},
    "repositories.integrity": {
        "hold": "lock_references",
        "names_of": "targets_of",
        "written": "locked_by",
    },
    "seeding": {
        "LINKS_AT_MOST": "MAX_LINKS",
        "PATIENCE": "ATTEMPTS_PER_OWNER",
        "at_most": "cap_counts",
    },
    "tests.entities": {"is_single": "is_unique"},
    "tests.modelled": {"keeps": "restricts_deletion", "place_of": "storage_name"},
    "tests.server": {"away": "unreachable"},
    "values": {"MOST_NESTED": "MAX_NESTING"},
    "verbatim": {"VerbatimImpl": "EscapingImpl", "VerbatimInspector": "EscapingInspector"},
}

# The modules of these that have not moved.
UNMOVED = ("api.problems", "models.base", "repositories.integrity")

# A timestamp in the models of each family.
TIMESTAMPS = {"beanie": "UtcDateTime", "sqlalchemy": "UtcTimestamp", "sqlmodel": "UtcTimestamp"}

# The labels that Copier gives to the sides of a conflict.
LABELS = ("before updating", "last update", "after updating")


@dataclass
class Report:
    """What was done, as the user has to know it."""

    merged: list[str] = field(default_factory=list)
    rewritten: list[str] = field(default_factory=list)
    conflicts: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)


class Project:
    """A project in a git repository, or in a folder of one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.prefix = _git(folder, "rev-parse", "--show-prefix").decode().strip()

    def committed(self, path: str) -> bytes | None:
        """The file in HEAD; None if it is not there."""
        done = subprocess.run(
            ["git", "show", f"HEAD:./{path}"], cwd=self.folder, capture_output=True, check=False
        )
        return done.stdout if done.returncode == 0 else None

    def mode(self, path: str) -> str:
        """The mode of a file in HEAD, such as 100644; empty if it is not there."""
        return _git(self.folder, "ls-tree", "HEAD", "--", path).decode().partition(" ")[0]

    def is_ignored(self, path: str) -> bool:
        """Whether git ignores a path."""
        command = ["git", "check-ignore", "--quiet", "--no-index", path]
        return subprocess.run(command, cwd=self.folder, check=False).returncode == 0

    def generated(self, path: str) -> bytes | None:
        """The file as the template writes it now; None if it does not.

        Where the user had a file in this place already, Copier has recorded a conflict with it.
        """
        file = self.folder / path
        current = file.read_bytes() if file.is_file() else None
        return self.unmerged().get(path, {}).get(3, current)

    def write(self, path: str, content: bytes) -> None:
        """Write a file into the working tree."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def files(self) -> list[str]:
        """The files of this project that git tracks or would track, without links.

        Folders with a project of their own are left out.
        """
        listed = _git(
            self.folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard"
        ).decode()
        names = sorted({name for name in listed.split("\0") if name})
        others = {
            f"{Path(name).parent.as_posix()}/"
            for name in names
            if "/" in name and Path(name).name in ("pyproject.toml", ".copier-answers.yml")
        }
        return [
            name
            for name in names
            if not name.startswith(tuple(others))
            and (self.folder / name).is_file()
            and not (self.folder / name).is_symlink()
        ]

    def unmerged(self) -> dict[str, dict[int, bytes]]:
        """The sides of each file with conflicts: 1 is the base, 2 the user's, 3 the template's."""
        found: dict[str, dict[int, bytes]] = {}
        for line in _git(self.folder, "ls-files", "-z", "--unmerged").decode().split("\0"):
            if line:
                entry, path = line.split("\t")
                _, blob, stage = entry.split()
                content = _git(self.folder, "cat-file", "blob", blob)
                found.setdefault(path, {})[int(stage)] = content
        return found

    def record(self, path: str, sides: tuple[bytes, bytes, bytes] | None) -> None:
        """Set the index to the sides of a conflict, or back to HEAD if there is none."""
        _git(self.folder, "reset", "--quiet", "--", path)
        if sides is None:
            return
        lines = [f"0 {'0' * 40}\t{self.prefix}{path}"]
        for stage, content in zip((2, 1, 3), sides, strict=True):
            blob = _git(self.folder, "hash-object", "-w", "--stdin", given=content).decode().strip()
            lines.append(f"100644 {blob} {stage}\t{self.prefix}{path}")
        _git(self.folder, "update-index", "--index-info", given="\n".join(lines).encode())


def main(commit: str, answers_file: str, package: str) -> None:
    """Merge what the user of the project in this folder wrote into moved files."""
    project, report = Project(Path.cwd()), Report()
    answers = yaml.safe_load(project.committed(answers_file) or b"{}")
    before = str(answers.get("package", package))
    moves = {
        **{f"src/{before}/{old}.py": f"src/{package}/{new}.py" for old, new in MODULES.items()},
        **{f"tests/{old}.py": f"tests/{new}.py" for old, new in TESTS.items()},
    }
    with tempfile.TemporaryDirectory(prefix="groundwork-") as folder:
        _render(answers, commit, Path(folder, "project"))
        # A file of the same name that was not generated is the user's own, and has not moved.
        generated = {
            old: (Path(folder, "project") / old).read_bytes()
            for old in moves
            if (Path(folder, "project") / old).is_file()
        }
    moves = {old: new for old, new in moves.items() if old in generated}
    # What the user has deleted or moved is not where the script looks for it.
    there = {old: new for old, new in moves.items() if project.mode(old).startswith("100")}
    renamed = Renamed(there, before, package, str(answers.get("orm")))
    for old, new in moves.items():
        _move(project, report, (old, new), generated[old], renamed)
    _resolve(project, report, {*moves.values()})
    for path in project.files():
        if not path.endswith((".py", ".md")):
            continue
        text = (project.folder / path).read_bytes()
        new_text = renamed.in_code(text, path) if path.endswith(".py") else _in_prose(text, there)
        if new_text != text:
            project.write(path, new_text)
            report.rewritten.append(path)
    if before != package:
        report.notes.append(f"the package is {package} now; rename it in your own files, too")
    report.conflicts |= project.unmerged().keys()
    report.notes += _leftovers(project, renamed, there)
    _print(report)


def _move(
    project: Project, report: Report, paths: tuple[str, str], generated: bytes, renamed: Renamed
) -> None:
    """Merge the user's version of one moved file into its new place."""
    old, new = paths
    mine, moved_by_hand = project.committed(old), project.committed(new)
    template = project.generated(new)
    if mine is None and moved_by_hand is None:
        if template is not None:
            (project.folder / new).unlink()
            report.notes.append(
                f"{old} is not in this project, so {new} was not added; if you moved it, move its "
                "content on by hand, and if you need the new file, take it from a new project"
            )
        return
    is_link = project.mode(old).startswith("12")
    if template is None or is_link or (mine is not None and moved_by_hand is not None):
        if mine not in (None, generated):
            why = "is no longer generated"
            if is_link:
                why = "replaces a link"
            elif moved_by_hand is not None:
                why = "is in use"
            report.notes.append(
                f"{new} {why}, so your edits of {old} were not merged; "
                f"your version: git show HEAD:{project.prefix}{old}"
            )
        return
    base = renamed.in_code(generated, old)
    edited = renamed.in_code(mine if mine is not None else moved_by_hand or b"", old)
    content, has_conflict = merge(edited, base, template)
    project.write(new, content)
    project.record(new, (edited, base, template) if has_conflict else None)
    if project.mode(old) == "100755":
        (project.folder / new).chmod(0o755)
    if has_conflict:
        report.conflicts.add(new)
    elif content != template:
        (project.folder / f"{old}.rej").unlink(missing_ok=True)
        report.merged.append(new)
        if project.is_ignored(new):
            report.notes.append(f"git ignores {new}, which contains your edits")


def _resolve(project: Project, report: Report, done: set[str]) -> None:
    """Try again where Copier left a conflict that `merge` can resolve."""
    for path, sides in project.unmerged().items():
        if path in done or {*sides} != {1, 2, 3}:
            continue
        content, has_conflict = merge(sides[2], sides[1], sides[3])
        if not has_conflict:
            project.write(path, content)
            project.record(path, None)
            report.merged.append(path)


def _leftovers(project: Project, renamed: Renamed, moves: Mapping[str, str]) -> list[str]:
    """A note on the files that still mention moved modules, in ways that are not renamed."""
    names = [*moves, *(name for name in renamed.modules if name not in renamed.packages)]
    pattern = (
        re.compile(rf"(?<![\w./])(?:{'|'.join(map(re.escape, names))})(?!\w)") if names else None
    )
    found = []
    for path in project.files():
        if pattern is None or path in ("CHANGELOG.md", ".copier-answers.yml"):
            continue
        text = (project.folder / path).read_bytes().decode("utf-8", errors="replace")
        # A call of a method is no mention of a module.
        if any(text[hit.end() : hit.end() + 1] != "(" for hit in pattern.finditer(text)):
            found.append(path)
    shown = ", ".join(found[:10]) + (", ..." if len(found) > 10 else "")
    return [f"These files still mention modules that moved; check them: {shown}"] if found else []


# Longer than any line of equal signs that a text has.
MARKER = 60


def merge(mine: bytes, base: bytes, template: bytes) -> tuple[bytes, bool]:
    """Merge two versions of a file, and tell whether conflicts remain.

    Unlike git, this does not treat changes of different lines as a conflict when the lines are
    adjacent, or when only the line endings differ.
    """
    if b"\r\n" in mine and b"\r\n" not in base:
        content, has_conflict = merge(mine.replace(b"\r\n", b"\n"), base, template)
        return content.replace(b"\n", b"\r\n"), has_conflict
    with tempfile.TemporaryDirectory(prefix="groundwork-") as folder:
        names = []
        for name, content in zip(("mine", "base", "template"), (mine, base, template), strict=True):
            file = Path(folder, name)
            file.write_bytes(content)
            names.append(str(file))
        options = ["-p", "--diff3", f"--marker-size={MARKER}"]
        done = subprocess.run(
            ["git", "merge-file", *options, *names], capture_output=True, check=False
        )
    if not 0 <= done.returncode < 128:
        raise RuntimeError(done.stderr.decode(errors="replace"))
    lines = [_settle(part) for part in _parts(done.stdout.splitlines(keepends=True))]
    return b"".join(lines), any(line.startswith(b"<<<<<<< ") for line in lines)


Conflict = tuple[list[bytes], list[bytes], list[bytes]]


def _parts(lines: list[bytes]) -> Iterator[bytes | Conflict]:
    """The lines of a merge, with the three sides of each conflict together."""
    sides: Conflict | None = None
    side = 0
    for line in lines:
        if line.startswith(b"<" * MARKER):
            sides, side = ([], [], []), 0
        elif line.startswith(b"|" * MARKER):
            side = 1
        elif line.startswith(b"=" * MARKER):
            side = 2
        elif line.startswith(b">" * MARKER) and sides is not None:
            yield sides
            sides = None
        elif sides is not None:
            sides[side].append(line)
        else:
            yield line


def _settle(part: bytes | Conflict) -> bytes:
    """The merged lines of a conflict, or its lines between markers."""
    if isinstance(part, bytes):
        return part
    mine, base, template = part
    ours, theirs = _changes(base, mine), _changes(base, template)
    if not any(_overlap(a, b) for a in ours for b in theirs if a != b):
        merged = list(base)
        for start, end, lines in sorted({*ours, *theirs}, reverse=True):
            merged[start:end] = lines
        return b"".join(merged)
    before, _, after = (label.encode() for label in LABELS)
    return b"".join(
        [
            *(b"<<<<<<< " + before + b"\n", *mine),
            *(b"=======\n", *template),
            b">>>>>>> " + after + b"\n",
        ]
    )


#: The lines of the base from one number to before another, and what replaces them.
Change = tuple[int, int, tuple[bytes, ...]]


def _changes(base: list[bytes], new: list[bytes]) -> list[Change]:
    matcher = SequenceMatcher(None, base, new, autojunk=False)
    return [
        (start, end, tuple(new[low:high]))
        for tag, start, end, low, high in matcher.get_opcodes()
        if tag != "equal"
    ]


def _overlap(one: Change, other: Change) -> bool:
    """Whether two changes are of the same lines, or add lines in the same place."""
    (low, high, _), (start, end, _) = sorted((one, other))
    return start < high or (low, high) == (start, end)


class Renamed:
    """The new names of moved modules, in Python code.

    Args:
        moves: Old and new paths of the files that moved in this project.
        before: The package of the project.
        after: The package after the update.
        orm: The answer of that name.
    """

    def __init__(self, moves: Mapping[str, str], before: str, after: str, orm: str) -> None:
        self.before, self.after = before, after
        self.names = NAMES | {"models.base": {"Moment": TIMESTAMPS.get(orm, "Moment")}}
        self.modules = {_dotted(old): _dotted(new) for old, new in moves.items()}
        self.packages = {
            f"{before}.{name}": kept
            | {new.rpartition("/")[2] for new in MODULES.values() if new.startswith(f"{name}/")}
            for name, kept in PACKAGES.items()
        }
        # What a file uses and does not bind was imported by a line that the template has changed.
        self.words = {
            old: new
            for module, names in self.names.items()
            for old, new in names.items()
            if ":" not in new and new != old and self._is_here(module)
        }

    def _is_here(self, module: str) -> bool:
        full = module if module.startswith("tests.") else f"{self.before}.{module}"
        return full in self.modules or module in UNMOVED

    def in_code(self, content: bytes, path: str) -> bytes:
        """A Python file with the new names; the same file if it has no old ones."""
        try:
            tree = ast.parse(content.decode("utf-8"))
        except (SyntaxError, ValueError):
            return content
        source = Source(content)
        roots = (self.before, "tests") if path.startswith("tests/") else (self.before,)
        parents = path.removeprefix("src/").split("/")[:-1]
        is_plain = any(
            alias.asname is None and alias.name.split(".")[0] in roots
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for alias in node.names
        )
        edits = []
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                edits += self._from(source, node, roots, parents)
            elif isinstance(node, ast.Import):
                edits += [
                    (*source.span(alias), source.text(alias).replace(alias.name, new, 1))
                    for alias in node.names
                    if (new := self._module(alias.name)) != alias.name
                ]
            elif isinstance(node, ast.Attribute) and is_plain:
                name = ast.unparse(node)
                if (new := self._module(name)) != name:
                    edits.append((*source.span(node), new))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                new = self._path(node.value, roots)
                if new != node.value and source.text(node).count(node.value) == 1:
                    edits.append((*source.span(node), source.text(node).replace(node.value, new)))
        edits += self._unbound(source, tree)
        return source.edited(edits)

    def _module(self, name: str) -> str:
        return name if name in self.packages else self.modules.get(name, name)

    def _path(self, text: str, roots: tuple[str, ...]) -> str:
        """The dotted name of a module or of something in it, as tests patch it."""
        parts = text.split(".")
        if parts[0] not in roots or not all(part.isidentifier() for part in parts):
            return text
        for size in range(len(parts), 1, -1):
            module, rest = ".".join(parts[:size]), parts[size:]
            if module in self.modules:
                if not rest:
                    return self._module(module)
                target, name = self._place(module, rest[0])
                return ".".join([target, name, *rest[1:]])
        return text

    def _place(self, module: str, name: str) -> tuple[str, str]:
        """The module and the name of what `from module import name` imports."""
        full = f"{module}.{name}"
        if full in self.modules and full != f"{self.before}.database":
            parent, _, last = self.modules[full].rpartition(".")
            return parent, last
        key = module if module.startswith("tests.") else module.partition(".")[2]
        target, _, new = self.names.get(key, {}).get(name, name).rpartition(":")
        if module not in self.modules and not self._is_here(key):
            return module, name
        if target:
            return f"{self.after}.{target}", new
        if new in self.packages.get(module, ()):
            return module, new
        return self.modules.get(module, module), new

    def _from(
        self, source: Source, node: ast.ImportFrom, roots: tuple[str, ...], parents: list[str]
    ) -> list[Edit]:
        module = node.module or ""
        if node.level:
            module = ".".join([*parents[: len(parents) - node.level + 1], *module.split(".")])
            module = module.rstrip(".")
        if module.split(".")[0] not in roots:
            return []
        places: dict[str, list[str]] = {}
        changed = False
        for alias in node.names:
            target, name = self._place(module, alias.name)
            changed = changed or (target, name) != (module, alias.name)
            as_name = alias.asname or (alias.name if name != alias.name else None)
            member = f"{name} as {as_name}" if as_name and as_name != name else name
            places.setdefault(target, []).append(member)
        if not changed:
            return []
        old = source.text(node)
        if len(places) == 1 and [*places.values()] == [[_member(alias) for alias in node.names]]:
            # Comments in brackets stay where only the module has another name.
            return [(*source.span(node), re.sub(r"(?<=from )\s*\S+", target, old, count=1))]
        indent = source.indent(node)
        lines = [
            _statement(target, names, indent or "", "\n" in old) for target, names in places.items()
        ]
        return [
            (*source.span(node), "; ".join(lines) if indent is None else f"\n{indent}".join(lines))
        ]

    def _unbound(self, source: Source, tree: ast.AST) -> list[Edit]:
        bound, used = set(), []
        for node in ast.walk(tree):
            match node:
                case ast.Name(ctx=ast.Load()):
                    used.append(node)
                case ast.Name(id=name) | ast.arg(arg=name) | ast.ExceptHandler(name=str(name)):
                    bound.add(name)
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    bound.add(name)
                case ast.ClassDef(name=name) | ast.MatchAs(name=str(name)):
                    bound.add(name)
                case ast.alias(name="*"):
                    return []
                case ast.alias(name=name, asname=alias):
                    bound.add(alias or name.split(".")[0])
        return [
            (*source.span(node), self.words[node.id])
            for node in used
            if node.id in self.words and node.id not in bound
        ]


#: Where a text begins and ends, and what replaces it.
Edit = tuple[int, int, str]


class Source:
    """The places of nodes in the text of a file."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.starts = [0]
        for line in content.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))

    def span(self, node: Any) -> tuple[int, int]:
        """Where a node begins and ends."""
        first = self.starts[node.lineno - 1] + node.col_offset
        return first, self.starts[node.end_lineno - 1] + node.end_col_offset

    def text(self, node: Any) -> str:
        """The text of a node."""
        first, last = self.span(node)
        return self.content[first:last].decode("utf-8")

    def indent(self, node: Any) -> str | None:
        """The white space before a statement; None if it shares its line with another."""
        first, last = self.span(node)
        before = self.content[self.starts[node.lineno - 1] : first].decode("utf-8")
        after = self.content[last : self.starts[node.end_lineno]].decode("utf-8")
        return before if not before.strip() and not after.strip().startswith(";") else None

    def edited(self, edits: list[Edit]) -> bytes:
        """The text with all edits; as it was if the result is no Python."""
        content = self.content
        for first, last, new in sorted(set(edits), reverse=True):
            content = content[:first] + new.encode() + content[last:]
        try:
            ast.parse(content)
        except (SyntaxError, ValueError):
            return self.content
        return content


def _dotted(path: str) -> str:
    """The name of the module in a file."""
    return path.removeprefix("src/").removesuffix(".py").replace("/", ".")


def _member(alias: ast.alias) -> str:
    return f"{alias.name} as {alias.asname}" if alias.asname else alias.name


def _statement(module: str, names: list[str], indent: str, is_long: bool) -> str:
    line = f"from {module} import {', '.join(names)}"
    if len(names) == 1 or (not is_long and len(indent + line) <= 100):
        return line
    inner = "".join(f"\n{indent}    {name}," for name in names)
    return f"from {module} import ({inner}\n{indent})"


def _in_prose(content: bytes, moves: Mapping[str, str]) -> bytes:
    """A document with the new paths of files, where it says the old ones in full."""
    for old, new in moves.items():
        pattern = rb"(?<![\w/])" + re.escape(old.encode()) + rb"(?!\w)"
        content = re.sub(pattern, new.encode(), content)
    return content


def _render(answers: Mapping[str, Any], commit: str, folder: Path) -> None:
    """Write what the template generated from these answers."""
    given = {name: value for name, value in answers.items() if not name.startswith("_")}
    copier.run_copy(
        answers["_src_path"], folder, data=given, vcs_ref=commit, defaults=True, quiet=True
    )


def _git(folder: Path, *arguments: str, given: bytes | None = None) -> bytes:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, input=given, capture_output=True, check=True
    )
    return done.stdout


def _print(report: Report) -> None:
    say = [f"Merged your edits into: {', '.join(report.merged)}."] if report.merged else []
    if report.rewritten:
        say.append(f"Updated imports and paths in: {', '.join(report.rewritten)}.")
    say += [f"{note}." for note in report.notes]
    if report.conflicts:
        say.append(f"Resolve the conflicts in: {', '.join(sorted(report.conflicts))}.")
    for line in say:
        print(line, file=sys.stderr)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (OSError, RuntimeError, subprocess.CalledProcessError, copier.CopierError) as error:
        sys.exit(
            f"Your edits of moved files were not merged ({error}). Nothing is lost: they are in "
            "git. Undo the update with `git reset --hard && git clean -d --force`; then try again."
        )
