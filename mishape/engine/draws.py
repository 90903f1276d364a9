"""Random draws in a spec: ``{$uniform: [50, 500]}`` in place of any value.

Each draw has a stream of its own, keyed by its path, so adding one changes no other. A draw's ends are known, so that
`check` can validate them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.random import Generator

from mishape.engine.wording import shown, suggestion
from mishape.engine.yaml_marks import Path

LISTS: dict[str, list[Any]] = {"perspectives": ["0", "x90", "x180", "y90", "y180", "z90"]}
"""Lists that ``$cycle`` and ``$choice`` know by name: the six perspectives of the MiShape paper."""
LARGEST = 1e300
NORMAL_REACH = 4.0
"""``$normal`` is cut at so many standard deviations, so that it has ends."""


class DrawError(ValueError):
    """A draw is written wrongly; `path` says where."""

    def __init__(self, path: Path, text: str) -> None:
        super().__init__(text)
        self.path = path


@dataclass(frozen=True)
class Law:
    """One kind of draw.

    `pick` makes the draw from (arguments, generator, sample number); `ends` lists the extreme or possible values.
    """

    usage: str
    check: Callable[[Any], bool]
    pick: Callable[[Any, Generator, int], Any]
    ends: Callable[[Any], Sequence[Any]]


def _numbers(args: Any) -> bool:
    """Tell whether these are two finite numbers whose distance is finite too."""
    return (
        isinstance(args, list)
        and len(args) == 2
        and all(isinstance(item, int | float) and not isinstance(item, bool) and abs(item) <= LARGEST for item in args)
    )


def _ordered(args: Any) -> bool:
    return _numbers(args) and args[0] <= args[1]


def _options(args: Any) -> list[Any]:
    return LISTS[args] if isinstance(args, str) else args


def _is_options(args: Any) -> bool:
    return args in LISTS if isinstance(args, str) else isinstance(args, list) and len(args) > 0


def _loguniform(args: Any, rng: Generator) -> float:
    low, high = args
    drawn = math.exp(rng.uniform(math.log(low), math.log(high)))
    return float(min(max(drawn, low), high))  # rounding may step over an end


def _normal(args: Any, rng: Generator, number: int) -> float:
    mean, sd = args
    while abs(deviate := rng.standard_normal()) > NORMAL_REACH:
        pass
    return float(mean + sd * deviate)


LAWS: Mapping[str, Law] = {
    "$uniform": Law(
        "[low, high], two numbers with low <= high",
        _ordered,
        lambda args, rng, number: float(rng.uniform(*args)),
        lambda args: args,
    ),
    "$loguniform": Law(
        "[low, high], two numbers with 0 < low <= high",
        lambda args: _ordered(args) and args[0] > 0,
        lambda args, rng, number: _loguniform(args, rng),
        lambda args: args,
    ),
    "$normal": Law(
        "[mean, standard deviation], two numbers, the second >= 0; cut at 4 standard deviations",
        lambda args: _numbers(args) and args[1] >= 0,
        _normal,
        lambda args: [args[0] - NORMAL_REACH * args[1], args[0] + NORMAL_REACH * args[1]],
    ),
    "$integer": Law(
        "[low, high], two whole numbers of 64 bits with low <= high; both may be drawn",
        lambda args: _ordered(args) and all(isinstance(item, int) and -(2**63) <= item < 2**63 for item in args),
        lambda args, rng, number: int(rng.integers(args[0], args[1], endpoint=True)),
        lambda args: args,
    ),
    "$choice": Law(
        f"a list of at least one value, or one of: {', '.join(LISTS)}",
        _is_options,
        lambda args, rng, number: _options(args)[int(rng.integers(len(_options(args))))],
        _options,
    ),
    "$cycle": Law(
        f"a list of at least one value, walked by sample number, or one of: {', '.join(LISTS)}",
        _is_options,
        lambda args, rng, number: _options(args)[number % len(_options(args))],
        _options,
    ),
}


def is_draw(node: Any) -> bool:
    """Tell whether a node is written as a draw: a mapping with a key that starts with ``$``."""
    return isinstance(node, dict) and any(str(key).startswith("$") for key in node)


def law_of(node: Mapping[str, Any], path: Path) -> tuple[Law, Any]:
    """Return a draw's law and arguments, or raise `DrawError`."""
    if len(node) != 1:
        raise DrawError(path, f"a draw stands alone: {shown(sorted(map(str, node)))} has keys beside it")
    ((name, args),) = node.items()
    if name not in LAWS:
        raise DrawError(path, f"unknown draw {name!r}: {suggestion(name, LAWS)}")
    if not LAWS[name].check(args):
        raise DrawError(path, f"{name} {shown(args)} is not right: expected {LAWS[name].usage}")
    return LAWS[name], args


Pick = Callable[[Law, Any, Path], Any]


def resolve(node: Any, path: Path, pick: Pick) -> Any:
    """Return the node with every draw in it replaced by what `pick` gives; what a choice gives is resolved in turn.

    A draw inside a choice has a path, hence a stream, of its own.
    """
    if is_draw(node):
        law, args = law_of(node, path)
        return resolve(pick(law, args, path), (*path, *node), pick)
    if isinstance(node, dict):
        return {key: resolve(value, (*path, key), pick) for key, value in node.items()}
    if isinstance(node, list):
        return [resolve(value, (*path, number), pick) for number, value in enumerate(node)]
    return node


def options(node: Any) -> list[Any]:
    """Return every value that a node may take, if its draws are choices; the ends of other draws."""
    if not is_draw(node):
        return [node]
    law, args = law_of(node, ())
    return [value for end in law.ends(args) for value in options(end)]


def variants(node: Any, path: Path = ()) -> int:
    """Return how many variants show both ends of every number and every option of every choice."""
    return 2 * _choices(node, path)


def _choices(node: Any, path: Path) -> int:
    """Return how many variants show every option, those of choices inside choices too."""
    if is_draw(node):
        law, args = law_of(node, path)
        ends = law.ends(args)
        return max(_choices(end, path) for end in ends) * (len(ends) if law.ends is _options else 1)
    if isinstance(node, dict):
        return max([1, *(_choices(value, (*path, key)) for key, value in node.items())])
    if isinstance(node, list):
        return max([1, *(_choices(value, (*path, number)) for number, value in enumerate(node))])
    return 1


def variant_pick(number: int) -> Pick:
    """Return a `pick` that gives the ends of ranges and the options of choices, by the variant's number.

    Each option comes with both ends of all ranges; a choice inside a choice is stepped when the outer has been through.
    """
    options_through: dict[Path, int] = {}

    def pick(law: Law, args: Any, path: Path) -> Any:
        ends = law.ends(args)
        if law.ends is not _options:
            return ends[number % 2]
        outer = max((count for above, count in options_through.items() if path[: len(above)] == above), default=1)
        options_through[path] = outer * len(ends)
        return ends[number // 2 // outer % len(ends)]

    return pick
