"""Models with realistic names of any length, which determine where lines are broken.

`tests.any_model` draws any model of the language, with few names. These models are alike, and all
their names are drawn: each entity has a member of every kind that is declared in a line of its own.
"""

from __future__ import annotations

from random import Random
from typing import Any

_WORDS = """
account activity address agreement allocation amendment appointment approval assessment assignment
attachment attendance authentication authorization availability beneficiary calendar campaign
cancellation category certificate channel claim clinic commission comment compliance configuration
consent contract contribution conversation credential currency customer delivery department
deployment deposit device diagnosis discount dispatch document driver employee encounter engagement
enrollment environment equipment escalation estimate evaluation event exemption expense facility
feature feedback fleet forecast fuel fulfilment group guarantee guardian hardware holiday incident
inspection installation insurance integration inventory invitation invoice issue item itinerary job
journey knowledge label language ledger liability licence location maintenance manager manufacturer
measurement medication membership message milestone moderation notification observation offer
operation organisation outcome participant partner password patient payment penalty permission
pipeline policy portal practitioner preference prescription priority procedure product profile
promotion provider publication purchase quality quantity question queue quota reaction reason
receipt recommendation recurrence referral refund region registration reminder replacement report
reputation reservation resolution resource restriction retention revenue review role route sanction
schedule segment sender service settlement shipment signature specification sponsor stage statement
station status stock storage subscriber subscription supplier surcharge survey suspension team
template tenant territory threshold thread ticket timesheet token tracking transfer translation
treatment trip unit vehicle vendor verification visibility visit voucher warehouse warning warranty
webhook workflow workspace zone
"""
WORDS = _WORDS.split()

# The longest names of entities, of their tables and of members.
ENTITY, TABLE, MEMBER = 50, 60, 55


class Names:
    """Names of the words above, none of them twice."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.taken: set[str] = set()

    def words(self, shortest: int, longest: int, joined: int) -> list[str]:
        """Draw words that have about as many characters as a number drawn between these."""
        aim = self.random.randint(shortest, longest)
        while True:
            words = [self.random.choice(WORDS)]
            while (room := aim - sum(map(len, words)) - joined * len(words)) > 2:
                fitting = [word for word in WORDS if len(word) <= room and word not in words]
                if not fitting:
                    break
                words.append(self.random.choice(fitting))
            name = "".join(words)
            if len(name) + joined * (len(words) - 1) <= longest and name not in self.taken:
                self.taken.add(name)
                return words

    def entity(self) -> str:
        name = "".join(word.capitalize() for word in self.words(4, ENTITY - 2, joined=0))
        # Formatters compare the numbers in names as numbers.
        return name + self.random.choice([""] * 8 + ["2", "10"])

    def member(self, longest: int = MEMBER) -> str:
        return "_".join(self.words(4, longest, joined=1))


def entities(seed: int, number: int) -> dict[str, Any]:
    """Return a model with this number of entities, the same one for the same seed."""
    random = Random(seed)
    names = Names(random)
    titles = [names.entity() for _ in range(number)]
    # The module of the owner is imported before `base`, as that of an account is.
    titles[0] = f"A{titles[0][1:]}"
    places = [names.entity() for _ in range(2)]
    drawn: dict[str, Any] = {
        place: {"embedded": True, "fields": _inner(names, random)} for place in places
    }
    for place, title in enumerate(titles):
        entity = _entity(names, random, titles[: place + 1], places)
        if len(title) > TABLE - 15:
            entity["table"] = names.member(TABLE)
        drawn[title] = entity
    if any("owned_by" in entity for entity in drawn.values()):
        drawn[titles[0]]["principal"] = True
    return drawn


def _inner(names: Names, random: Random) -> dict[str, Any]:
    fields = [
        {"type": "string", "max_length": 80},
        {"type": "enum", "values": _values(names, random), "optional": True},
        {"type": "decimal", "precision": 10, "scale": 2, "optional": True},
        {"type": "datetime", "optional": True},
    ]
    return {names.member(): each for each in fields}


def _values(names: Names, random: Random) -> list[str]:
    return [names.member(50) for _ in range(random.randint(1, 4))]


def _entity(names: Names, random: Random, titles: list[str], places: list[str]) -> dict[str, Any]:
    values = _values(names, random)
    optional = random.choice([{}, {"optional": True}])
    kinds: list[dict[str, Any]] = [
        {"type": "enum", "values": values} | optional,
        {"type": "enum", "values": values, "default": values[-1]},
        {"type": "string", "max_length": 120, "pattern": "^[a-z]{3,40}$"} | optional,
        {"type": "string", "max_length": 120, "unique": True, "optional": True},
        {"type": "string", "max_length": 120, "default": names.member(MEMBER)},
        {"type": "decimal", "precision": 12, "scale": 2, "ge": 0, "default": 0},
        {"type": "integer", "ge": 1, "le": 5, "index": "Find them by this number."} | optional,
        {"type": "datetime", "default": "now"},
        {"type": "boolean", "default": random.choice([True, False])},
        {"type": "json", "default": {names.member(): [1, 2, names.member()]}},
        {"type": "array", "of": "string", "optional": True},
        {"type": "text", "optional": True, "secret": True},
        {"type": "uuid", "default": "018f3c5e-7b1a-7c3d-9e4f-5a6b7c8d9e0f"},
        {"type": "email"} | optional,
        {"type": "embedded", "of": random.choice(places)} | optional,
        {"type": "array", "of": random.choice(places), "default": []},
        {"type": "bigint", "read_only": True, "optional": True},
    ]
    random.shuffle(kinds)
    fields = {names.member(): each for each in kinds[: random.randint(5, len(kinds))]}
    start, end, amount, state = (names.member() for _ in range(4))
    fields |= {
        start: {"type": "datetime", "optional": True},
        end: {"type": "datetime", "optional": True},
        amount: {"type": "integer", "default": 1},
        state: {"type": "enum", "values": values},
    }
    entity: dict[str, Any] = {"description": f"A record of {names.member()}.", "fields": fields}
    for flag in ("soft_delete", "versioned", "shared"):
        if random.random() < 0.3:
            entity[flag] = True
    entity["references"] = references = {
        names.member(MEMBER - 3): _reference(names, random, titles)
        for _ in range(random.randint(1, 4))
    }
    if random.random() < 0.5:
        target = random.choice(titles)
        entity["many_to_many"] = {
            names.member(): {
                "to": target,
                "inverse": names.member(),
                "through": "".join(word.capitalize() for word in names.words(4, 44, joined=0)),
                "fields": {
                    names.member(): {"type": "datetime", "default": "now"},
                    names.member(): {"type": "enum", "values": values, "optional": True},
                },
            }
        }
    if len(titles) > 1 and random.random() < 0.4:
        entity["owned_by"] = titles[0]
    rule = names.member(40)
    entity["checks"] = {rule: {"rule": f"{end} > {start}", "why": f"Keep {names.member()}."}}
    entity["computed"] = {names.member(): {"value": f"{amount} * 2"}}
    reference = random.choice(list(references))
    texts = [name for name, each in fields.items() if each["type"] == "string"]
    entity["indexes"] = [
        {"on": [reference, state], "unique": True, "why": f"One for each {names.member()}."},
        {
            "on": [amount, state],
            "unique": True,
            "where": {state: values[0]},
            "why": "One of these.",
        },
        {"on": [amount], "where": {start: None, state: values[0]}, "why": "List these first."},
        {"on": [state, f"-{start}", end], "why": f"List by {names.member()}."},
    ]
    if texts and random.random() < 0.3:
        entity["indexes"].append({"on": texts, "using": "fulltext", "why": "Search them."})
    return entity


def _reference(names: Names, random: Random, titles: list[str]) -> dict[str, Any]:
    to = random.choice(titles)
    reference: dict[str, Any] = {"to": to, "inverse": names.member()}
    if to == titles[-1] or random.random() < 0.5:
        reference["optional"] = True
        reference["on_delete"] = random.choice(["set_null", "cascade", "restrict"])
    if random.random() < 0.3:
        reference["unique"] = True
    return reference
