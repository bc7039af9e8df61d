"""Patterns as people write them, hostile ones, and the values to compare engines with."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

# Each pattern that a model may contain, with a text that it matches.
REALISTIC = {
    # Slugs, names and codes
    r"^[a-z0-9]+(-[a-z0-9]+)*$": "my-slug-1",
    r"^[a-z0-9]+(?:-[a-z0-9]+)*$": "my-slug",
    r"^[a-z0-9-]+$": "a-b-1",
    r"^[a-z0-9_]+$": "some_one",
    r"^[a-z][a-z0-9_]*$": "snake_case",
    r"^[a-z]+([A-Z][a-z0-9]+)*$": "camelCase",
    r"^[A-Z][A-Za-z0-9]*$": "PascalCase",
    r"^[A-Z][A-Z0-9_]*$": "SCREAMING_CASE",
    r"^[A-Z0-9]+(-[A-Z0-9]+)*$": "SKU-10-XL",
    r"^[A-Z0-9-]+$": "A-1",
    r"^[A-Z][A-Z0-9]+$": "KEY1",
    r"^[A-Za-z0-9_-]{1,64}$": "id_1-x",
    r"^[A-Za-z0-9]{8}$": "aB3dE6gH",
    r"^@?[A-Za-z_][A-Za-z0-9_.]{0,29}$": "@jane.doe",
    r"^[a-zA-Z0-9][a-zA-Z0-9.-]{1,61}[a-zA-Z0-9]$": "my-bucket.1",
    r"^\w+$": "wörd_1",
    r"^[\w.-]+$": "file-1.tar",
    r"^\w+( \w+)*$": "two words",
    r"^\S+$": "no-space",
    r"^\S+\s\S+$": "Jane Doe",
    r"^[^\s@]+$": "jane",
    r"^[^/]+$": "name",
    r"^[^<>:\"/\\|?*]+$": "file.txt",
    r"^\.?[\w-]+\.[a-z]{2,4}$": ".env.prod",
    r"^/(?:[\w.-]+/?)*$": "/usr/lib/",
    r"^[A-Za-zÀ-ÖØ-öø-ÿ' -]+$": "Zoë O'Hara",
    r"^[à-ü]+$": "éè",
    r"^[β-ω]+$": "βγδ",
    r"^[一-龥]+$": "漢字",
    r"^[a-z]{2,}$": "ab",
    # Addresses
    r"^[^@\s]+@[^@\s]+\.[^@\s]+$": "a@b.co",
    r"^[^@]+@[^@]+\.[a-z]+$": "jane@example.com",
    r"^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}$": "j.doe+x@example.com",
    r"^.+@.+\..+$": "x@y.z",
    r"^.+@example\.com$": "me@example.com",
    r"^https?://.+$": "https://example.com/",
    r"^https?://[^\s/$.?#].[^\s]*$": "http://example.com/a?b",
    r"^https://github\.com/[\w-]+/[\w.-]+$": "https://github.com/a/b.c",
    r"^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$": "www.example.com",
    r"^[a-z]+/[a-z0-9.+-]+$": "image/svg+xml",
    r"^(mailto|tel|sms):.*$": "tel:123",
    r"^s3://[a-z0-9.-]{3,63}/.*$": "s3://bucket/key",
    r"^[a-z0-9.-]+/[a-z0-9._/-]+(:[\w.-]{1,128})?$": "ghcr.io/a/b:1.0",
    # Networks
    r"^(?:[0-9]{1,3}\.){3}[0-9]{1,3}$": "10.0.0.1",
    r"^((25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])$": "255.1.2.3",
    r"^\d{1,3}(\.\d{1,3}){3}/\d{1,2}$": "10.0.0.0/8",
    r"^(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}$": "1:2:3:4:5:6:7:8",
    r"^([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}$": "00:1B:44:11:3A:B7",
    r"^[0-9]{1,5}$": "8080",
    # Phones and postcodes
    r"^\+[1-9][0-9]{1,14}$": "+4930123456",
    r"^\+?[0-9 ()/-]{6,20}$": "+49 (30) 123-45",
    r"^\(?\d{3}\)?[-. ]?\d{3}[-. ]?\d{4}$": "(555) 123-4567",
    r"^\d{5}$": "10115",
    r"^\d{5}(-\d{4})?$": "12345-6789",
    r"^[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}$": "SW1A 1AA",
    r"^[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z] ?\d[ABCEGHJ-NPRSTV-Z]\d$": "K1A 0B1",
    r"^[1-9][0-9]{3} ?[A-Z]{2}$": "1012 AB",
    r"^[0-9A-Z -]+$": "AB-12",
    # Codes of ISO and others
    r"^[A-Z]{2}$": "DE",
    r"^[A-Z]{3}$": "EUR",
    r"^[a-z]{2}(-[A-Z]{2})?$": "de-AT",
    r"^[a-z]{2,3}(?:-[A-Za-z]{4})?(?:-(?:[A-Z]{2}|[0-9]{3}))?$": "zh-Hant-TW",
    r"^[A-Z]{2}-[A-Z0-9]{1,3}$": "DE-BE",
    r"^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$": "DE89370400440532013000",
    r"^[A-Z]{6}[A-Z0-9]{2}([A-Z0-9]{3})?$": "DEUTDEFF500",
    r"^(?:97[89])?\d{9}[\dX]$": "9783161484100",
    r"^\d{4}-\d{3}[\dX]$": "2049-3630",
    r"^10\.\d{4,9}/[-._;()/:A-Za-z0-9]+$": "10.1000/xyz123",
    r"^\d{8}|\d{13}$": "96385074",
    r"^(?:[A-Z]{2})?[0-9]{8,12}$": "DE123456789",
    r"^[A-HJ-NPR-Z0-9]{17}$": "1HGCM82633A004352",
    r"^\d{4}[- ]?\d{4}[- ]?\d{4}[- ]?\d{4}$": "4111 1111 1111 1111",
    r"^(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14})$": "4111111111111111",
    r"^\d{3}-\d{2}-\d{4}$": "078-05-1120",
    r"^[A-Z]{3}-\d{4}$": "ABC-1234",
    r"^[A-ZÄÖÜ]{1,3}-[A-Z]{1,2} \d{1,4}[EH]?$": "M-AB 123E",
    r"^[A-Z]{2}\d{2} ?[A-Z]{3}$": "AB12 CDE",
    r"^[A-Z]{4}[0-9]{7}$": "MSKU1234565",
    r"^[01]{8}$": "01010101",
    r"^(?:AF|AX|AL|DZ|AS|AD|AO|AI|AQ|AG|AR|AM|AW|AU|AT|AZ)$": "AT",
    # Numbers, dates and times in text
    r"^-?\d+$": "-42",
    r"^[+-]?\d+(\.\d+)?$": "+1.50",
    r"^\d+(\.\d{1,2})?$": "9.99",
    r"^\d{1,3}(,\d{3})*(\.\d+)?$": "1,234.5",
    r"^(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$": "1.5e-3",
    r"^0[xX][0-9a-fA-F]+$": "0xFF",
    r"^\d+%$": "50%",
    r"^\$\d+(\.\d\d)?$": "$5.00",
    r"^€ ?\d+$": "€ 5",
    r"^\d{4}-\d{2}-\d{2}$": "2026-01-31",
    r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$": "2026-12-31",
    r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$": "23:59:59",
    r"^\d{4}-W(0[1-9]|[1-4]\d|5[0-3])$": "2026-W05",
    r"^P(?:\d+Y)?(?:\d+M)?(?:\d+D)?(?:T(?:\d+H)?(?:\d+M)?(?:\d+S)?)?$": "P1DT2H",
    r"^(?:19|20)\d{2}/[1-4]$": "2026/1",
    r"^M{0,3}(CM|CD|D?C{0,3})(XC|XL|L?X{0,3})(IX|IV|V?I{0,3})$": "MMXXVI",
    # Versions, keys and hashes
    r"^\d+\.\d+\.\d+$": "1.2.3",
    (
        r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*"
        r")(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z"
        r"-]+)*))?$"
    ): "1.0.0-rc.1+b1",
    r"^v?\d+(\.\d+){0,2}$": "v1.2",
    r"^#[0-9a-f]{6}$": "#1a2b3c",
    r"^#(?:[0-9a-fA-F]{3}){1,2}$": "#FFF",
    r"^(?:#[0-9A-Fa-f]{6}|rgb\(\d{1,3}, ?\d{1,3}, ?\d{1,3}\))$": "rgb(1, 2,3)",
    r"^[0-9a-f]{8}-[0-9a-f]{4}-[1-7][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$": (
        "018f3c5e-7b1a-7c3d-9e4f-5a6b7c8d9e0f"
    ),
    r"^[0-9A-HJKMNP-TV-Z]{26}$": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    r"^[0-9a-f]{24}$": "507f1f77bcf86cd799439011",
    r"^[0-9a-f]{40}$": "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    r"^[a-f0-9]{64}$": "ab" * 32,
    r"^sha256:[a-f0-9]{64}$": "sha256:" + "0f" * 32,
    r"^sk_(test|live)_[A-Za-z0-9]{24,}$": "sk_test_" + "a1" * 12,
    r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$": "aGVsbG8=",
    r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$": "e30.e30.c2ln",
    r"^\$2[aby]\$\d{2}\$[./A-Za-z0-9]{53}$": "$2b$12$" + "a/" * 26 + "z",
    r"^arn:aws:[a-z0-9-]+:[a-z0-9-]*:\d{12}:.+$": "arn:aws:s3::123456789012:x",
    r"^(?:\*|\d+(?:-\d+)?)(?: (?:\*|\d+)){4}$": "0 0 * * 1",
    r"^-?(?:90|[1-8]?\d)(?:\.\d+)?,-?(?:180|1[0-7]\d|[1-9]?\d)(?:\.\d+)?$": "52.5,13.4",
    # Parts of a value, and what it must not contain
    r"^[A-Z]": "Abc",
    r"\.pdf$": "a.pdf",
    r"[0-9]{3}": "a123b",
    r"^(draft|published)$": "draft",
    r"^(?:yes|no)?$": "no",
    r"^[^,;]*$": "abc",
    r"^[^\n]*$": "one line",
    r"^.*$": "any",
    r"^.{1,5}$": "abc",
    r"^.+?$": "abc",
    r"^[ -~]+$": "plain ASCII!",
    r"^[^ ].*[^ ]$": "no margin",
    r"^\D+$": "abc",
    r"^\W+$": "!?",
    r"^[^\x00-\x7f]+$": "é",
    r"^[a-z]{200}$": "ab" * 100,
    r"^[a-z]{120,}$": "ab" * 60,
    r"(?i)^(red|green)$": "Red",
    r"^(?i:a|b)+$": "aB",
    r"(?s)^.+$": "two\nlines",
    r"\bcat\b": "a cat here",
    r"^[\[\]{}()]+$": "[]",
    r"^[\-\/\\]+$": r"-/\\",
    r"^\[.*\]$": "[a]",
    r"^\{\w+\}$": "{name}",
    r"^[$^.]+$": "$^.",
    r"^\x41\u00e9$": "Aé",
    r"^a}]$": "a}]",
    r"^(?:|a)$": "a",
    "^['\"`]?$": "'",
    r"\A[a-z]+$": "abc",
    # Exponential in an engine that goes back
    r"^(a+)+$": "aaa",
    r"^(a|a)*$": "aaa",
    r"^(a|aa)+$": "aaa",
    r"^([a-z]+)*\d$": "abc1",
    r"^(.*,)*x$": "a,b,x",
    r"^(\w+\s?)*$": "one two",
}

# Some of these are rejected, and the others work.
HOSTILE = [
    *(Path(__file__).parent / "hostile_patterns.txt").read_text("utf-8").split(),
    *("(?x) a b", "a{2, 3}", "a{ 2}", "\\ ", "\n", "a\nb", "\t", "a b", "{{ 1 }}"),
    "(" * 51 + "a" + ")" * 51,
    "(" * 50 + "a" + ")" * 50,
    "(" * 300 + ")" * 300,
]

_ATOMS = [
    "a", "Z", "0", "-", "é", "٣", " ", r"\.", r"\d", r"\w", r"\s", r"\D", r"\W", r"\S", ".",
    "^", "$",
    "[a-z]", "[^a-z]", "[A-Z0-9_-]", r"[\w.-]", r"[^\d]", r"[\d.]", "[.$]", "[^$]", "[^.]",
    r"[\s\S]",
    r"\b", r"\$", r"\\", r"\-", r"\n", "(?i:z)", "(?s:.)", "[à-ü]", "[^^]", "[a-]", "]", "}",
    "{", "[a[]",
]  # fmt: skip
_QUANTIFIERS = [
    "",
    "",
    "",
    "",
    "*",
    "+",
    "?",
    "{2}",
    "{0,3}",
    "{2,}",
    "*?",
    "??",
    "{2}?",
    "{,2}",
    "++",
]

_parts = st.recursive(
    st.sampled_from(_ATOMS),
    lambda inner: st.tuples(
        st.sampled_from(["(", "(?:"]),
        st.lists(st.tuples(inner, st.sampled_from(_QUANTIFIERS)).map("".join), max_size=3).map(
            "".join
        ),
        st.sampled_from(["", "", "|a", "|"]),
        st.just(")"),
    ).map("".join),
    max_leaves=6,
)

#: Patterns of which many are valid.
drawn = st.tuples(
    st.sampled_from(["^", "^", ""]),
    st.lists(
        st.tuples(_parts, st.sampled_from(_QUANTIFIERS)).map("".join), min_size=1, max_size=4
    ).map("".join),
    st.sampled_from(["$", "$", ""]),
).map("".join)


def _near(text: str) -> list[str]:
    """Return texts that differ from one as the rules of engines differ."""
    changed = [
        text[:place] + other + text[place + 1 :]
        for place in (0, len(text) // 2)
        for other in ("\n", "é", "A", "٣")
    ]
    return [
        *(
            text,
            text + "\n",
            "\n" + text,
            text + "\r",
            text + "\r\n",
            text + "\u2028",
            text.upper(),
        ),
        *(text.lower(), text.swapcase(), text + " ", text + "é", text + "٣", text + text, text[1:]),
        *changed,
    ]


#: Texts near those that the patterns match, and short ones.
VALUES = sorted(
    {near for text in REALISTIC.values() for near in _near(text)}
    | {
        near
        for text in (
            "",
            "a",
            "Z",
            "0",
            "aZ0",
            "--",
            "a-z",
            "é",
            "$",
            "^.",
            "K",
            "\u017f",
            "ⅷ",
            "²",
            "\U0001d7d9",
        )
        for near in _near(text)
    }
)
