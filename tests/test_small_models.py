"""Small models, each of a kind that once broke a check or a test of its project."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.workshop import Workshop

# MongoDB deletes what has expired about once a minute: parents vanished while tests ran.
EXPIRING = """
entities:
  Account:
    fields:
      name:       {type: string, max_length: 50}
      expires_at: {type: datetime}
    indexes:
      - {on: [expires_at], expires_after: 0, why: Ended accounts.}
  Note:
    fields:
      text: {type: string, max_length: 50}
    references:
      account: {to: Account, on_delete: restrict}
"""


@pytest.mark.run
def test_no_sample_document_has_expired(workshop: Workshop, python: Path) -> None:
    answers = yaml.safe_load(EXPIRING)
    project = workshop.render(orm="beanie", database="mongodb", api=False, **answers)
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "tests/data_layer/test_sample_data.py"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    assert "test_no_sample_record_has_expired" in (
        project / "tests/data_layer/test_sample_data.py"
    ).read_text("utf-8")
