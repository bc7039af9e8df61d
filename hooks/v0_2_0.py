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
    "constraints": {"Violated": "Violation", "violated": "violation_of"},
    "driver": {
        "EXAMPLE_URL": "settings:EXAMPLE_URL",
        "MongoURL": "settings:MongoURL",
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
    "seeding": {"at_most": "cap_counts"},
}

# A timestamp in the models of each family.
TIMESTAMPS = {"beanie": "UtcDateTime", "sqlalchemy": "UtcTimestamp", "sqlmodel": "UtcTimestamp"}

# The labels that Copier gives to the sides of a conflict.
LABELS = ("before updating", "last update", "after updating")


@dataclass
class Report:
    """What was done, as the user has to know it."""

    merged: list[str] = field(default_factory=list)
    rewritten: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
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

    def current(self, path: str) -> bytes | None:
        """The file in the working tree; None if it is not there."""
        file = self.folder / path
        return file.read_bytes() if file.is_file() else None

    def generated(self, path: str) -> bytes | None:
        """The file as the template writes it now; None if it does not.

        Where the user had a file in this place already, Copier has recorded a conflict with it.
        """
        return self.unmerged().get(path, {}).get(3) or self.current(path)

    def write(self, path: str, content: bytes) -> None:
        """Write a file into the working tree."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def files(self, *patterns: str) -> list[str]:
        """The files that git tracks or would track."""
        listed = _git(
            self.folder,
            *("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns),
        )
        names = {name for name in listed.decode().split("\0") if name}
        return sorted(name for name in names if (self.folder / name).is_file())

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
    renamed = Renamed(before, package, str(answers.get("orm")))
    with tempfile.TemporaryDirectory(prefix="groundwork-") as folder:
        generated = Path(folder, "project")
        _render(answers, commit, generated)
        for old, new in moves.items():
            if (generated / old).is_file():
                _move(project, report, (old, new), (generated / old).read_bytes(), renamed)
    _resolve(project, report, {*moves.values()})
    for path in project.files("*.py", "*.md"):
        text = (project.folder / path).read_bytes()
        new_text = renamed.in_code(text) if path.endswith(".py") else _in_prose(text, moves)
        if new_text != text:
            project.write(path, new_text)
            report.rewritten.append(path)
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
    if template is None or (mine is not None and moved_by_hand is not None):
        if mine not in (None, generated):
            why = "is in use" if moved_by_hand is not None else "is no longer generated"
            report.notes.append(
                f"{new} {why}, so your edits of {old} were not merged; "
                f"your version: git show HEAD:{project.prefix}{old}"
            )
        return
    base = renamed.in_code(generated)
    content, has_conflict = merge(renamed.in_code(mine or moved_by_hand or b""), base, template)
    project.write(new, content)
    sides = (renamed.in_code(mine or moved_by_hand or b""), base, template)
    project.record(new, sides if has_conflict else None)
    if has_conflict:
        report.conflicts.append(new)
    elif content != template:
        report.merged.append(new)


def _resolve(project: Project, report: Report, done: set[str]) -> None:
    """Try again where Copier left a conflict that `merge` can resolve."""
    for path, sides in project.unmerged().items():
        if path in done or {*sides} != {1, 2, 3}:
            continue
        content, has_conflict = merge(sides[2], sides[1], sides[3])
        if has_conflict:
            report.conflicts.append(path)
        else:
            project.write(path, content)
            project.record(path, None)
            report.merged.append(path)


def merge(mine: bytes, base: bytes, template: bytes) -> tuple[bytes, bool]:
    """Merge two versions of a file, and tell whether conflicts remain.

    Unlike git, this does not treat changes of different lines as a conflict when the lines are
    adjacent.
    """
    with tempfile.TemporaryDirectory(prefix="groundwork-") as folder:
        names = []
        for name, content in zip(("mine", "base", "template"), (mine, base, template), strict=True):
            file = Path(folder, name)
            file.write_bytes(content)
            names.append(str(file))
        labels = [argument for label in LABELS for argument in ("-L", label)]
        command = ["git", "merge-file", "-p", "--diff3", *labels, *names]
        done = subprocess.run(command, capture_output=True, check=False)
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
        if sides is None and line.startswith(b"<<<<<<< "):
            sides, side = ([], [], []), 0
        elif sides is not None and line.startswith(b"||||||| "):
            side = 1
        elif sides is not None and side == 1 and line.rstrip(b"\r\n") == b"=======":
            side = 2
        elif sides is not None and line.startswith(b">>>>>>> "):
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
    """The new names of moved modules, in Python code."""

    def __init__(self, before: str, after: str, orm: str) -> None:
        self.before, self.after = before, after
        self.names = NAMES | {"models.base": {"Moment": TIMESTAMPS.get(orm, "Moment")}}
        self.modules = {
            f"{before}.{old.replace('/', '.')}": f"{after}.{new.replace('/', '.')}"
            for old, new in MODULES.items()
        } | {f"tests.{old}": f"tests.{new.replace('/', '.')}" for old, new in TESTS.items()}
        moved = {*self.modules.values()}
        self.packages = {
            f"{before}.{name}": kept
            | {module.rpartition(".")[2] for module in moved if f".{name}." in module}
            for name, kept in PACKAGES.items()
        }
        plain = sorted(self.modules.keys() - self.packages.keys(), key=len, reverse=True)
        self._dotted = re.compile(rf"(?<![\w.])(?:{'|'.join(map(re.escape, plain))})(?!\w|/)")
        self._import = re.compile(
            rf"^([ \t]*)from ((?:tests|{re.escape(before)})(?:\.\w+)*) import (\([^)]*\)|[^\n(]+)",
            re.MULTILINE,
        )

    def in_code(self, content: bytes) -> bytes:
        """A Python file with the new names; the same file where it has no old ones."""
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            return content
        text = self._import.sub(self._imported, text)
        return self._dotted.sub(lambda found: self.modules[found[0]], text).encode()

    def _imported(self, found: re.Match[str]) -> str:
        indent, module, names = found.groups()
        if module in ("tests", self.before):
            return self._of_modules(indent, module, names) or found[0]
        lines = []
        for old, new in self.names.get(module.partition(".")[2], {}).items():
            pattern = rf"\b{old}\b( as \w+)?"
            if not (member := re.search(pattern, names)):
                continue
            target, _, name = new.rpartition(":")
            alias = member[1] or ("" if name == old else f" as {old}")
            if target:
                names = re.sub(rf"{pattern}(,\s*)?", "", names).rstrip(", ")
                lines.append(f"{indent}from {self.after}.{target} import {name}{alias}")
            else:
                names = re.sub(pattern, name + alias, names)
        members = {name.partition(" as ")[0] for name in _names(names)}
        if members and not members <= self.packages.get(module, {"*"}):
            module = self.modules.get(module, module)
        if members:
            lines.insert(0, f"{indent}from {module} import {names}")
        return "\n".join(lines)

    def _of_modules(self, indent: str, root: str, names: str) -> str:
        """`from acme import driver, schemas`, with one line for each module that moved."""
        kept, lines = [], []
        for name in _names(names):
            module, _, alias = name.partition(" as ")
            full = f"{root}.{module}"
            if full not in self.modules or (full in self.packages and module == "database"):
                kept.append(name)
                continue
            parent, _, last = self.modules[full].rpartition(".")
            suffix = "" if (alias or module) == last else f" as {alias or module}"
            lines.append(f"{indent}from {parent} import {last}{suffix}")
        if not lines:
            return ""
        return "\n".join([f"{indent}from {root} import {', '.join(kept)}"] * bool(kept) + lines)


def _names(names: str) -> list[str]:
    """The names of an import, in brackets or not, without comments."""
    lines = [line.partition("#")[0] for line in names.strip("()").splitlines()]
    return [name for name in (part.strip() for part in "".join(lines).split(",")) if name]


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
        say.append(f"Resolve the conflicts in: {', '.join(report.conflicts)}.")
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
