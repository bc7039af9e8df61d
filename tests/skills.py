"""What a project contains for coding agents: its rules, and the commands in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

import yaml

SKILLS = {
    "add-a-query",
    "change-the-schema",
    "review-a-migration",
    "speed-up-a-query",
    "write-a-test",
}
HOMES = (".agents", ".claude")
MOST_LINES = {"AGENTS.md": 60, ".claude/agents/database-architect.md": 25}


def path_of(skill: str, home: str = ".agents") -> str:
    return f"{home}/skills/{skill}/SKILL.md"


def faults(project: Mapping[str, str]) -> list[str]:
    """What is wrong with the files for agents in a project of `{path: text}`."""
    return [*_faults_of_files(project), *_faults_of_permissions(project)]


def _faults_of_files(project: Mapping[str, str]) -> Iterator[str]:
    found = {path for path in project if path.startswith(tuple(f"{home}/" for home in HOMES))}
    wanted = {path_of(skill, home) for skill in SKILLS for home in HOMES}
    wanted |= {".claude/agents/database-architect.md", ".claude/settings.json"}
    if found != wanted:
        yield f"there are {found - wanted}, and {wanted - found} are missing"
    for path, most in {**MOST_LINES, **{path_of(skill): 59 for skill in SKILLS}}.items():
        if (lines := len(project[path].splitlines())) > most:
            yield f"{path} has {lines} lines"
    for skill in SKILLS:
        if project[path_of(skill, ".claude")] != project[path_of(skill)]:
            yield f"{skill} differs between {' and '.join(HOMES)}"
        yield from _faults_of_front_matter(skill, project[path_of(skill)])
    yield from _faults_of_front_matter(
        "database-architect", project[".claude/agents/database-architect.md"]
    )


def _faults_of_front_matter(name: str, text: str) -> Iterator[str]:
    """See agentskills.io/specification."""
    matter = yaml.safe_load(text.split("---\n")[1])
    if not text.startswith("---\n") or matter.keys() != {"name", "description"}:
        yield f"{name} has no name or description"
    if matter["name"] != name or not re.fullmatch(r"[a-z]+(-[a-z]+)*", name):
        yield f"{name} is called {matter['name']}"
    if not 0 < len(matter["description"]) <= 1024 or "Use " not in matter["description"]:
        yield f"the description of {name} does not say when to use it"


def _faults_of_permissions(project: Mapping[str, str]) -> Iterator[str]:
    settings = json.loads(project[".claude/settings.json"])
    if settings.keys() != {"permissions"} or ".mcp.json" in project:
        yield "a server is configured, or another setting"
    command = re.search(r"uv run ([\w-]+) check\b", project["AGENTS.md"])
    assert command
    for what, expected in {
        "check": "allow",
        "db check": "allow",
        "db revision -m 'add projects'": "allow",
        "db upgrade": "ask",
        "db shell": "ask",
        "db reset --records 5": "deny",
        "db restore saved --database acme": "deny",
        "db downgrade": "deny",
        "db revision -m 'drop it' --drop": "deny",
    }.items():
        for program in ("uv run ", ".venv/bin/", "python -m "):
            line = f"{program}{command[1]} {what}"
            if (found := decision(settings, line)) != expected and program == "uv run ":
                yield f"{line}: {found}"
            if expected != "allow" and found != expected:
                yield f"{line}: {found}"


def decision(settings: Mapping[str, Mapping[str, list[str]]], line: str) -> str | None:
    """Return what the settings of Claude Code say about a command: the first list that matches."""
    for name in ("deny", "ask", "allow"):
        for rule in settings["permissions"][name]:
            pattern = rule.removeprefix("Bash(").removesuffix(")")
            prefix = pattern.endswith(":*")
            parts = pattern.removesuffix(":*").split("*")
            matching = ".*".join(map(re.escape, parts)) + ("( .*)?" if prefix else "")
            if re.fullmatch(matching, line):
                return name
    return None


def commands(text: str) -> list[str]:
    """Return the lines of the blocks of shell in a document."""
    blocks = re.findall(r"^ *```sh\n(.+?)^ *```", text, re.DOTALL | re.MULTILINE)
    return [line.strip() for block in blocks for line in block.splitlines()]
