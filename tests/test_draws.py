"""Random draws: what each law gives, that each has a stream of its own, and how a wrong one is refused."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mishape.engine import draws
from mishape.engine.expansion import extreme, repeating, seeded
from mishape.engine.schema import _ARGUMENTS

NUMBERS = st.floats(-1e9, 1e9)


def drawn(node: Any, number: int = 0, seed: int = 1, repeat_each: int = 1) -> Any:
    return draws.resolve(node, ("x",), repeating(seeded(seed, number), repeat_each))


def refusal(node: Any) -> str:
    with pytest.raises(draws.DrawError) as caught:
        drawn(node)
    return str(caught.value)


@given(NUMBERS, NUMBERS, st.integers(0, 100))
@settings(max_examples=50, deadline=None)
def test_ranges_stay_within_their_ends(a: float, b: float, number: int) -> None:
    low, high = sorted((a, b))
    assert low <= drawn({"$uniform": [low, high]}, number) <= high
    low, high = abs(low) + 1e-6, abs(low) + 1e-6 + abs(high)
    assert low <= drawn({"$loguniform": [low, high]}, number) <= high
    assert abs(drawn({"$normal": [low, high]}, number) - low) <= draws.NORMAL_REACH * high * (1 + 1e-12) + 1e-9 * low


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1), st.integers(0, 100))
@settings(max_examples=50, deadline=None)
def test_integers_stay_within_their_ends(a: int, b: int, number: int) -> None:
    value = drawn({"$integer": sorted((a, b))}, number)
    assert min(a, b) <= value <= max(a, b)
    assert type(value) is int


def test_integers_include_both_ends_equally() -> None:
    counts = Counter(drawn({"$integer": [1, 3]}, number) for number in range(3000))
    assert set(counts) == {1, 2, 3}
    assert sum((count - 1000) ** 2 / 1000 for count in counts.values()) < 13.8  # chi-square, 2 degrees, p = 0.001


def test_distributions_have_the_right_middle() -> None:
    uniform = [drawn({"$uniform": [2, 4]}, number) for number in range(2000)]
    log = [math.log(drawn({"$loguniform": [1, 100]}, number)) for number in range(2000)]
    normal = [drawn({"$normal": [5, 2]}, number) for number in range(2000)]
    assert np.mean(uniform) == pytest.approx(3, abs=4 * (2 / 12**0.5) / 2000**0.5)
    assert np.mean(log) == pytest.approx(math.log(10), abs=4 * (math.log(100) / 12**0.5) / 2000**0.5)
    assert np.mean(normal) == pytest.approx(5, abs=4 * 2 / 2000**0.5)
    assert np.std(normal) == pytest.approx(2, rel=4 / 4000**0.5)


def test_equal_ends_give_that_value() -> None:
    assert drawn([{"$uniform": [3, 3]}, {"$loguniform": [3, 3]}, {"$integer": [3, 3]}, {"$normal": [3, 0]}]) == [3] * 4


def test_cycle_walks_by_sample_number() -> None:
    assert [drawn({"$cycle": ["a", "b", "c"]}, number) for number in range(7)] == list("abcabca")
    assert [drawn({"$cycle": ["a", "b"]}, number, repeat_each=2) for number in range(6)] == list("aabbaa")


def test_named_lists() -> None:
    six = [drawn({"$cycle": "perspectives"}, number) for number in range(6)]
    assert six == ["0", "x90", "x180", "y90", "y180", "z90"]
    assert {drawn({"$choice": "perspectives"}, number) for number in range(100)} == set(six)


def test_a_draw_inside_a_choice_is_independent_of_it() -> None:
    nested = {"$choice": [{"$choice": ["a", "b"]}, {"$choice": ["c", "d"]}]}
    counts = Counter(drawn(nested, number) for number in range(2000))
    assert set(counts) == set("abcd")
    assert sum((count - 500) ** 2 / 500 for count in counts.values()) < 16.3  # chi-square, 3 degrees, p = 0.001
    mapping = {"$choice": [{"k": {"$uniform": [0, 1]}}, {"k": {"$integer": [5, 6]}}]}
    assert all(0 <= drawn(mapping, number)["k"] <= 6 for number in range(20))


def test_adding_a_draw_changes_no_other() -> None:
    one = {"b": {"$uniform": [0, 1]}, "c": [{"$normal": [0, 1]}]}
    two = {"a": {"$uniform": [0, 1]}, **one, "d": {"$choice": [1, 2]}}
    assert {key: drawn(two, 3)[key] for key in one} == drawn(one, 3)
    assert drawn(dict(reversed(one.items())), 3) == drawn(one, 3)


def test_samples_seeds_and_places_differ() -> None:
    node = [{"$uniform": [0, 1]}, {"$uniform": [0, 1]}]
    values = [*drawn(node, 0, 0), *drawn(node, 1, 0), *drawn(node, 0, 1)]
    assert len(set(values)) == 6
    assert drawn(node, 0, 0) == drawn(node, 0, 0)
    assert drawn(node, 4, repeat_each=3) == drawn(node, 5, repeat_each=3) != drawn(node, 6, repeat_each=3)


def test_variants_show_both_ends_and_every_option() -> None:
    node = {
        "a": {"$uniform": [1, 2]},
        "b": {"$normal": [0, 1]},
        "c": {"$choice": [{"$choice": ["p", "q", {"$integer": [7, 8]}]}, {"$cycle": ["r", "s"]}]},
        "d": {"$choice": "perspectives"},
    }
    count = draws.variants(node)
    seen = [draws.resolve(node, (), repeating(extreme(number), 1)) for number in range(count)]
    assert {one["a"] for one in seen} == {1, 2}
    assert {one["b"] for one in seen} == {-4, 4}
    assert {one["c"] for one in seen} == {"p", "q", 7, 8, "r", "s"}
    assert {one["d"] for one in seen} == set(draws.LISTS["perspectives"])
    assert {(one["a"], one["c"]) for one in seen} >= {(1, "p"), (2, "p"), (1, "s"), (2, "s")}
    assert draws.variants({"a": 1, "b": [2]}) == 2


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (
            {"$unifrom": [1, 2]},
            "unknown draw '$unifrom': did you mean '$uniform'? "
            "(known: $choice, $cycle, $integer, $loguniform, $normal, $uniform)",
        ),
        ({"$uniform": [2, 1]}, "$uniform [2, 1] is not right: expected [low, high], two numbers with low <= high"),
        ({"$uniform": None}, "$uniform null is not right: expected [low, high], two numbers with low <= high"),
        ({"$uniform": [1]}, "$uniform [1] is not right: expected [low, high], two numbers with low <= high"),
        (
            {"$uniform": [0, math.inf]},
            "$uniform [0, inf] is not right: expected [low, high], two numbers with low <= high",
        ),
        (
            {"$uniform": [math.nan, 1]},
            "$uniform [nan, 1] is not right: expected [low, high], two numbers with low <= high",
        ),
        (
            {"$uniform": [True, 2]},
            "$uniform [True, 2] is not right: expected [low, high], two numbers with low <= high",
        ),
        (
            {"$loguniform": [0, 1]},
            "$loguniform [0, 1] is not right: expected [low, high], two numbers with 0 < low <= high",
        ),
        (
            {"$normal": [0, -1]},
            "$normal [0, -1] is not right: expected [mean, standard deviation], two numbers, the second >= 0; "
            "cut at 4 standard deviations",
        ),
        (
            {"$integer": [1, 2.5]},
            "$integer [1, 2.5] is not right: expected [low, high], two whole numbers of 64 bits with low <= high; "
            "both may be drawn",
        ),
        (
            {"$integer": [0, 2**63]},
            "$integer [0, 9223372036854775808] is not right: expected [low, high], two whole numbers of 64 bits with "
            "low <= high; both may be drawn",
        ),
        ({"$choice": []}, "$choice [] is not right: expected a list of at least one value, or one of: perspectives"),
        (
            {"$cycle": "views"},
            "$cycle 'views' is not right: expected a list of at least one value, walked by sample number, "
            "or one of: perspectives",
        ),
        ({"$choice": [1], "b": 2}, "a draw stands alone: ['$choice', 'b'] has keys beside it"),
    ],
)
def test_wrong_draws_are_refused(node: Any, message: str) -> None:
    assert refusal(node) == message


def test_numbers_beyond_floats_are_refused() -> None:
    assert refusal({"$uniform": [0, 10**400]}).startswith("$uniform [0, 1000")
    assert refusal({"$uniform": [-1e308, 1e308]}).startswith("$uniform [-1e+308, 1e+308] is not right")


def test_every_law_has_a_schema() -> None:
    assert set(_ARGUMENTS) == set(draws.LAWS)
