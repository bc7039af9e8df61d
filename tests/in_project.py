"""What scripts that run in a generated project's folder and environment share."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

[PACKAGE] = [path.parent.name for path in Path("src").glob("*/cli.py")]

#: Whether the project stores its records in tables.
IS_SQL = Path("src", PACKAGE, "database", "constraints.py").exists()


def module(name: str) -> Any:
    """Return a module of the project."""
    return importlib.import_module(f"{PACKAGE}.{name}")
