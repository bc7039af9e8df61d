"""Sample values that belong together do so in every record."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.workshop import Workshop, environment_of

# Fields stand before those that they follow from; a `contact` is another person than the record.
MODEL = """
entities:
  Company:
    fields:
      slug:          {type: string, unique: true, pattern: "^[a-z0-9-]+$"}
      name:          {type: string}
      email:         {type: email}
      contact_name:  {type: string}
      contact_email: {type: email}
  User:
    fields:
      email:     {type: email, unique: true}
      username:  {type: string, unique: true, max_length: 20}
      full_name: {type: string}
      city:      {type: string}
      country:   {type: string, max_length: 2}
      latitude:  {type: float}
      phone:     {type: string, unique: true}
  Order:
    fields:
      number:       {type: string, unique: true, max_length: 12}
      delivered_at: {type: datetime, optional: true}
      shipped_at:   {type: datetime, optional: true}
      placed_at:    {type: datetime}
      max_price:    {type: decimal, precision: 8, scale: 2, ge: 0}
      min_price:    {type: decimal, precision: 8, scale: 2, ge: 0}
      quantity:     {type: integer, ge: 1}
"""

MAKE = """
import json
from faker import Faker
from acme.development.sample_data import make_company, make_order, make_user
fake = Faker()
fake.seed_instance(1)
made = {
    make.__name__: [make(fake, number, {}).model_dump(mode="json") for number in range(1, 201)]
    for make in (make_company, make_user, make_order)
}
print(json.dumps(made))
"""


@pytest.mark.run
def test_values_of_one_record_belong_together(workshop: Workshop, python: Path) -> None:
    project = workshop.render(
        orm="sqlalchemy", database="sqlite", api=False, **yaml.safe_load(MODEL)
    )
    done = subprocess.run(
        [python, "-c", MAKE],
        env=environment_of(python, project),
        capture_output=True,
        text=True,
        check=True,
    )
    made: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)
    for company in made["make_company"]:
        words = company["name"].lower().replace(",", "").split()
        assert company["slug"].startswith("-".join(words)), company
        assert company["slug"].rsplit("-", 1)[0] in company["email"], company
        assert company["contact_name"].split()[-1].lower() in company["contact_email"], company
    countries: dict[str, set[str]] = {}
    for user in made["make_user"]:
        assert user["full_name"].split()[-1].lower() in user["email"], user
        assert user["email"].startswith(user["username"]), user
        countries.setdefault(user["city"], set()).add(user["country"])
        assert (user["latitude"] < 0) == (user["country"] in {"AU", "NZ"}), user
    assert len(countries) > 5
    assert all(len(found) == 1 for found in countries.values()), countries
    for order in made["make_order"]:
        times = [order[name] for name in ("placed_at", "shipped_at", "delivered_at") if order[name]]
        assert times == sorted(times), order
        assert float(order["min_price"]) <= float(order["max_price"]), order
        assert 1 <= order["quantity"] <= 20, order
    for name, field in [("user", "email"), ("user", "phone"), ("order", "number")]:
        assert len({record[field] for record in made[f"make_{name}"]}) == 200, field


PATTERNS = """
entities:
  Paint:
    fields:
      colour:  {type: string, pattern: "^#[0-9a-f]{6}$"}
      name:    {type: string, pattern: "^[A-Z]{3}-[0-9]{4}$"}
      city:    {type: string, pattern: "^[A-Z][a-z]+$"}
"""


def test_a_suggestion_that_a_pattern_never_matches_is_left_out(workshop: Workshop) -> None:
    answers = yaml.safe_load(PATTERNS)
    project = workshop.render(orm="sqlalchemy", database="sqlite", api=False, **answers)
    [package] = (project / "src").iterdir()
    factory = (package / "development" / "sample_data.py").read_text("utf-8")
    assert "colour=fake.hex_color()," in factory
    assert 'name=text_matching(fake, "^[A-Z]{3}-[0-9]{4}$", 0, 255),' in factory
    assert 'city=text_matching(fake, "^[A-Z][a-z]+$", 0, 255, fake.city()),' in factory
