"""Generate docs/types.md from the tables that the templates use.

uv run python -m tests.types_document
"""

from __future__ import annotations

import yaml
from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from tests.workshop import ROOT

DOCUMENT = ROOT / "docs" / "types.md"


def render() -> str:
    """Return the text of the document."""
    questions = yaml.safe_load((ROOT / "copier.yml").read_text("utf-8"))
    jinja = SandboxedEnvironment(
        loader=FileSystemLoader(ROOT),
        extensions=["jinja2_ansible_filters.AnsibleCoreFiltersExtension"],
        **{**questions["_envops"], "undefined": StrictUndefined},
    )
    text: str = jinja.get_template("docs/types.md.jinja").render(database="postgresql")
    return text


if __name__ == "__main__":
    DOCUMENT.write_text(render(), "utf-8")
