"""The page of a prior of shapes: how well it holds and draws shapes that it never saw, in numbers and pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mishape.em.descriptors import SCALE_FREE, SIZES
from mishape.engine.files import disk_errors, write_whole
from mishape.plugins.reports.drawing import data_uri
from mishape.plugins.reports.library_numbers import shown
from mishape.plugins.reports.library_pictures import surface_picture
from mishape.plugins.reports.likeness import values
from mishape.plugins.reports.look import spaced
from mishape.plugins.reports.page import facts, figure, heading, page, paragraph, section, table
from mishape.plugins.reports.populations import Population
from mishape.plugins.reports.prior_numbers import REAL, Compared, Judged, Reconstructed

NUMBERS, PAGE = "evaluation.json", "evaluation.html"
MOST_PICTURES = 12
PUBLISHED = {
    "length_nm": "500 to 3000 nm, size in hepatocytes (Shami et al., Sci. Rep. 2021, doi 10.1038/s41598-021-82884-z)",
    "thickness_nm": "500 to 1000 nm, diameter in drawings (Alberts et al., Molecular Biology of the Cell, 4th ed.)",
}
"""Ranges of others, for other cells: to see where these shapes stand, not what they must be."""


def write_evaluation(
    folder: Path, case: Judged, held: Reconstructed, said: dict[str, Any], comparison: Compared | None
) -> Path:
    """Write ``evaluation.json`` and ``evaluation.html`` into a folder; return the page's path."""
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / NUMBERS, json.dumps(said, indent=2, sort_keys=True) + "\n")
        write_whole(folder / PAGE, evaluation_page(case, held, said, comparison))
    return folder / PAGE


def evaluation_page(case: Judged, held: Reconstructed, said: dict[str, Any], comparison: Compared | None) -> str:
    """Return the page."""
    parts = [_weights(case), _held(held, said["reconstruction"])]
    if comparison is not None:
        parts += [_sets(comparison), _spans(comparison), _novelty(comparison), _mirrors(comparison)]
        parts += [_pictures(comparison)]
    return page("A prior of shapes, judged", ["<h1>A prior of shapes, judged</h1>", *parts])


def _weights(case: Judged) -> str:
    about = case.about
    rows = [
        ("file", case.weights.name),
        ("model", _plan(about["model"])),
        *([("distribution", _plan(about["distribution"]))] if case.is_prior else []),
        ("learned from", f"{about['shapes']} shapes, {about['whole_shapes']} whole, folds {', '.join(about['folds'])}"),
        ("data, SHA-256", about["data_sha256"]),
        (
            "judged by",
            f"{len(case.held)} whole shapes of folds {', '.join(sorted({str(one.fold) for one in case.held}))}",
        ),
        ("licences", ", ".join(about["licences"])),
    ]
    return section("Weights and shapes", table(["", ""], rows))


def _plan(plan: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in plan.items())


def _held(held: Reconstructed, said: dict[str, Any]) -> str:
    overlap, error, used = said["overlap"], said["error_nm"], held.activity
    numbers = facts(
        [
            ("intersection over union", f"{overlap['mean']:.3f}"),
            ("95 % of its mean", f"{overlap['low']:.3f} to {overlap['high']:.3f}"),
            ("median surface error, nm", f"{error['median']:.1f}"),
            ("latent numbers", held.numbers),
            ("of them used", used.active),
            ("divergence, nats", f"{used.divergence:.0f}"),
        ]
    )
    text = (
        "Shapes that nothing was learned from, encoded and decoded. The error is the median distance from the returned "
        "surface to the true one, and its median over shapes; intervals are bootstraps over shapes. A latent number is "
        "used if its mean varies by more than 0.01 over the shapes that were learned (Burda et al., ICLR 2016)."
    )
    rows = [(one.id, f"{one.overlap:.3f}", f"{one.error_nm:.1f}") for one in held.each]
    return section("Reconstruction", numbers, paragraph(text), table(["shape", "IoU", "surface error, nm"], rows))


def _others(comparison: Compared) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((name, comparison.numbers[name]) for name in comparison.populations if name != REAL)


def _told(one: dict[str, float]) -> list[str]:
    """Return what one kind of distance says of a population."""
    accuracy = f"{one['accuracy']:.3f}"
    if one["low"] < one["high"]:  # else there is one choice alone
        accuracy += f" ({one['low']:.2f} to {one['high']:.2f})"
    return [accuracy, f"{one['p']:.3f}", f"{one['coverage']:.2f}", f"{one['matching']:.4f}"]


def _sets(comparison: Compared) -> str:
    rows = [
        (name, found["shapes"], f"{found['sound']:.0%}", *_told(found["chamfer"]), *_told(found["earth_mover"]))
        for name, found in _others(comparison)
    ]
    head = ["", "shapes", "closed, of one part"]
    head += [f"{kind}: {what}" for kind in ("Chamfer", "EMD") for what in ("1-NNA", "p", "coverage", "MMD")]
    count = len(comparison.populations[REAL].given)
    text = (
        f"Against {count} shapes held out, for as many of each row at a time: 1-NNA is how often a shape's nearest "
        f"neighbour is of its own set, {comparison.numbers['chance']:.3f} where sets cannot be told apart (mean of 400 "
        "choices, and what 95 % of them lie between; p by permutation, twice the median of 8 choices). Shapes are "
        "compared along their principal axes, mirror images too, in units of their longest edge. Drawn shapes count as "
        "real ones do: if they would be whole in the volume of those that were held out, turned and placed at random. "
        "Of what the prior draws the largest part is kept, and cavities are filled: that it is closed and of one part "
        "says that this is done."
    )
    return section("Shapes that are drawn", table(head, rows), paragraph(text))


def _spans(comparison: Compared) -> str:
    chance, rows = comparison.numbers["chance_spans"], []
    for name in (*SCALE_FREE, *SIZES):
        spans = [shown(found["spans"][name]) for _, found in _others(comparison)]
        low, high = map(shown, chance[name])
        rows.append((name, *spans, f"{low} to {high}"))
    head = ["Wasserstein-1 from those held out", *(name for name, _ in _others(comparison)), "by chance"]
    text = (
        "By chance: 95 % of the distances between as many of the shapes learned from as were held out, and the others."
    )
    looks = [
        (name, *(_range(group, name) for group in comparison.populations.values()), PUBLISHED.get(name, ""))
        for name in (*SCALE_FREE, *SIZES)
    ]
    ranges = table(["5 %, median, 95 %", *comparison.populations, "published, of other cells"], looks)
    return section("What they look like", table(head, rows), paragraph(text), heading("Ranges"), ranges)


def _range(group: Population, name: str) -> str:
    return ", ".join(shown(value) for value in np.quantile(values(group, name), (0.05, 0.5, 0.95)).tolist())


def _novelty(comparison: Compared) -> str:
    rows = [
        (name, *(f"{found['nearest_learned'][part]:.4f}" for part in ("5 %", "median", "95 %")))
        for name, found in _others(comparison)
    ]
    text = (
        "Chamfer distance to the nearest shape that was learned; of those themselves, to the nearest other. A copy's "
        f"distance is not 0, as surfaces are sampled: it is {comparison.numbers['nearest_floor']:.4f} in the median."
    )
    return section("Novelty", table(["", "5 %", "median", "95 %"], rows), paragraph(text))


def _mirrors(comparison: Compared) -> str:
    found = comparison.numbers["handedness"]
    text = (
        f"{found['nearer as it is']:.0%} of the shapes learned from are more like another shape than like any "
        f"shape's mirror image; about half if handedness carries no information (p = {found['p']:.2f}, by "
        "mirroring shapes at random)."
    )
    return section("Mirror images", paragraph(text))


def _pictures(comparison: Compared) -> str:
    parts: list[str] = []
    for name, group in comparison.populations.items():
        parts += [heading(name), _row(group.given)]
    text = "Chosen evenly along each list, not by their looks; each at a scale of its own."
    return section("Pictures", paragraph(text), *parts)


def _row(shapes: Sequence[Any]) -> str:
    chosen = [shapes[number] for number in spaced(len(shapes), MOST_PICTURES)]
    figures = [figure(data_uri(Image.fromarray(np.ascontiguousarray(surface_picture(one)))), one.id) for one in chosen]
    columns = "repeat(auto-fill, minmax(min(180px, 100%), 1fr))"
    return f'<div style="display: grid; grid-template-columns: {columns}; gap: 0 1rem">{"".join(figures)}</div>'
