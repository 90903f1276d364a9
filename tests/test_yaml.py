"""YAML 1.2 text becomes plain data with positions; what is dangerous or ambiguous is refused."""

from __future__ import annotations

import math
import tracemalloc
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mishape.engine.errors import SpecError
from mishape.engine.yaml_marks import MAX_BYTES, MAX_NODES, parse

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def data(text: str) -> Any:
    return parse(text, "s.yaml")[0]


def refusal(text: str) -> str:
    with pytest.raises(SpecError) as caught:
        data(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-1", 0.1),
        ("1E3", 1000.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("+1", 1),
        ("-0", 0),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("null", None),
        ("~", None),
        ("", None),
        ("true", True),
        ("FALSE", False),
        ("no", "no"),
        ("yes", "yes"),
        ("off", "off"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2020-01-01", "2020-01-01"),
        ("0b1", "0b1"),
        ("0o8", "0o8"),
        ("-0x1", "-0x1"),
        ("1e", "1e"),
        ('"1"', "1"),
        ("'null'", "null"),
        ("! 3", 3),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: Any) -> None:
    found = data(f"a: {text}")["a"]
    assert found == value
    assert type(found) is type(value)


def test_nan() -> None:
    assert math.isnan(data("a: .nan")["a"])


def test_positions_are_those_of_keys_and_items() -> None:
    source = parse("a:\n  - 1\n  - {b: 2}\nc: 3\n", "s.yaml")[1]
    assert source.marks == {
        (): (1, 1),
        ("a",): (1, 1),
        ("a", 0): (2, 5),
        ("a", 1): (3, 5),
        ("a", 1, "b"): (3, 6),
        ("c",): (4, 1),
    }
    assert source.complaint(("a", 1, "x"), "is wrong") == "s.yaml:3:5: a.1.x: is wrong\n      - {b: 2}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "s.yaml:3:1: duplicate key 'a': it stands in line 1 already\n    a: 3"),
        (
            "a: !!python/object:os.system ls",
            "s.yaml:1:4: tag 'tag:yaml.org,2002:python/object:os.system' is not allowed: scene files hold plain data\n"
            "    a: !!python/object:os.system ls",
        ),
        (
            "!!str a: 1",
            "s.yaml:1:1: tag 'tag:yaml.org,2002:str' is not allowed: scene files hold plain data\n    !!str a: 1",
        ),
        ("a: 1\n---\nb: 2\n", "s.yaml:2:1: a second document starts here: a scene file holds one\n    ---"),
        ("", "s.yaml: the file is empty: a scene needs mishape, objects and views"),
        ("# nothing\n", "s.yaml: the file is empty: a scene needs mishape, objects and views"),
        ("a: [1, 2", "s.yaml:1:9: this is not YAML: expected ',' or ']', but got '<stream end>'\n    a: [1, 2"),
        ("a:\n\t- 1", "s.yaml:2:1: this is not YAML: found character '\\t' that cannot start any token\n    \t- 1"),
        ("a\nb\x00", "s.yaml:2:2: this is not YAML: character '\\x00' is not allowed\n    b\x00"),
        ("a: *b", "s.yaml:1:4: alias *b has no finished anchor &b before it\n    a: *b"),
        ("a: &a [*a]", "s.yaml:1:8: alias *a has no finished anchor &a before it\n    a: &a [*a]"),
        ("[1]: 2", "s.yaml:1:1: a key must be text\n    [1]: 2"),
        ("<<: {a: 1}", "s.yaml:1:1: merge keys (<<) are not part of YAML 1.2: write the keys out\n    <<: {a: 1}"),
    ],
)
def test_refusals_say_where_and_why(text: str, message: str) -> None:
    assert refusal(text) == message


@pytest.mark.parametrize("number", ["9" * 5000, "-" + "9" * 400, "0x" + "f" * 5000])
def test_huge_whole_numbers_are_refused(number: str) -> None:
    assert refusal(f"a: {number}").startswith("s.yaml:1:4: a whole number of more than 250 digits is too large\n")


def test_a_bomb_is_refused_before_it_takes_memory() -> None:
    tracemalloc.start()
    assert refusal(BOMB).splitlines()[0] == (
        f"s.yaml:6:8: more than {MAX_NODES} values once aliases are expanded: make the file smaller"
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


def test_depth_and_size_are_limited() -> None:
    assert data("[" * 40 + "]" * 40)
    assert "nested deeper than 40 levels" in refusal("[" * 100_000)
    assert "nested deeper than 40 levels" in refusal("\n".join(" " * i + "a:" for i in range(60)))
    assert (
        refusal("é" * (MAX_BYTES // 2 + 1))
        == f"s.yaml: {MAX_BYTES + 2} bytes given: a scene file may hold at most {MAX_BYTES}"
    )


def test_anchors_and_aliases() -> None:
    assert data("a: &x {b: [1, 2]}\nc: *x\nd: [*x, &y 3, *y]") == {
        "a": {"b": [1, 2]},
        "c": {"b": [1, 2]},
        "d": [{"b": [1, 2]}, 3, 3],
    }


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=20).filter(
    lambda text: text != "<<"
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=15,
)


class Quoting(yaml.SafeDumper):
    """Quotes all text, so that nothing depends on which words a version of YAML resolves."""


Quoting.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


@given(PLAIN)
@settings(max_examples=100, deadline=None)
def test_what_another_library_writes_is_read_back(value: Any) -> None:
    assert data(yaml.dump(value, Dumper=Quoting, allow_unicode=True)) == value
