"""The report of a dataset: one HTML file that shows what is in it and how it was made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mishape.engine.files import write_whole
from mishape.engine.hooks import hookimpl
from mishape.plugins.reports.compared import duplicates, sizes
from mishape.plugins.reports.counted import size_px
from mishape.plugins.reports.look import Look
from mishape.plugins.reports.page import (
    facts,
    figure,
    heading,
    page,
    paragraph,
    prose,
    section,
    table,
    verbatim,
    warning,
)
from mishape.plugins.reports.signal import NAMES, signal_to_background
from mishape.plugins.reports.svg import histogram

if TYPE_CHECKING:
    from mishape.engine.dataset import Dataset

NAME = "report.html"
MAX_NAMED = 6
"""Shapes of a sample that are named."""
READING = """\
mishape verify DATASET            # every file against its hash; some samples made anew

import mishape
dataset = mishape.open_dataset("DATASET")
item = dataset[0]
image = item["{view}.image"]      # (Z, Y, X) uint16, memory-mapped
print(item.record["split"], item.record["objects"], list(item.arrays))
sample = mishape.simulate(dataset.spec.scene(0))  # the same sample again, with its shapes and expected photons"""


@hookimpl
def mishape_dataset_done(dataset: Dataset) -> None:
    """Write ``report.html`` into the dataset's folder."""
    write_whole(dataset.folder / NAME, report(dataset))


def report(dataset: Dataset) -> str:
    """Return the report: a pure function of the dataset's content, without dates and places."""
    look = Look(dataset)
    return page(look.title, [f"<h1>{prose(look.title)}</h1>", *(part(look) for part in PARTS)])


def _summary(look: Look) -> str:
    manifest, scene, holes = look.dataset.manifest, look.scene, look.dataset.holes
    views = ", ".join(f"{name} ({view.microscope.kind})" for name, view in scene.views.items())
    numbers = facts(
        [
            ("samples", manifest.samples - len(holes)),
            *([("left out, as they failed", len(holes))] if holes else []),
            ("shards", manifest.shards),
            ("views", len(scene.views)),
            ("objects per sample", f"{len(look.objects) / len(look.records):.3g}"),
            ("shapes", look.counted.distinct),
            ("seed", manifest.seed),
        ]
    )
    truths = ", ".join(scene.truths) or "none"
    return numbers + paragraph(f"Views: {views}. Ground truths: {truths}. Objects and shapes: from {look.basis}.")


def _splits(look: Look) -> str:
    splits = look.dataset.manifest.splits
    samples, shapes = look.counted.samples, look.counted.shapes
    whole = sum(splits.values())
    rows = [(name, f"{share / whole:.1%}", samples[name], len(shapes.get(name, ()))) for name, share in splits.items()]
    parts = [table(["split", "share asked for", "samples", "distinct shapes"], rows)]
    empty = [name for name, share in splits.items() if share > 0 and not samples[name]]
    if empty:
        parts.append(warning(f"no sample in {', '.join(empty)} among {look.basis}: make more samples to fill it."))
    return section("Splits", *parts, paragraph(f"Counted in {look.basis}. No shape stands in two splits."))


def _gallery(look: Look) -> str:
    from mishape.plugins.reports.drawing import data_uri
    from mishape.plugins.reports.gallery import gallery

    figures = []
    for view in look.scene.views:
        picture, numbers = gallery(look.dataset, view)
        figures.append(figure(data_uri(picture), f"{view}: samples {', '.join(map(str, numbers))}"))
    text = "Samples drawn by the dataset's seed, not chosen; the middle plane as stored, each on a scale of its own."
    return section("Gallery", paragraph(text), *figures)


def _perspectives(look: Look) -> str:
    from mishape.plugins.reports.drawing import data_uri
    from mishape.plugins.reports.gallery import perspectives

    picture = perspectives(look.dataset)
    if picture is None:
        return ""
    views = " and ".join(look.scene.views)
    text = (
        f"Shapes by rotation in {views}, the part that is shown of each field and the surfaces, seen from the "
        "objective. Orange: in focus in some plane of the first view."
    )
    return section("Perspectives", paragraph(text), figure(data_uri(picture), "The first samples of each shape"))


def _sheets(look: Look) -> str:
    from mishape.plugins.reports.drawing import data_uri
    from mishape.plugins.reports.pictures import contact_sheet

    text = (
        "Samples at even spacing, simulated anew. Blue: outline of the shapes' silhouette. Orange: the part of the "
        "surface, seen from the objective, that is in focus in some plane; dashed lines are the focal planes. Yellow: "
        "the part of the field that other panels show zoomed."
    )
    figures = []
    for sample in look.samples:
        ids = [*dict.fromkeys(shape.id for shape in sample.sources.values())]
        more = f" and {len(ids) - MAX_NAMED} more" if len(ids) > MAX_NAMED else ""
        shapes = (", ".join(ids[:MAX_NAMED]) or "no shapes") + more
        caption = f"Sample {sample.scene.sample}, split {sample.scene.split}: {shapes}"
        figures.append(figure(data_uri(contact_sheet(sample)), caption))
    return section("Samples", paragraph(text), *figures)


def _histograms(look: Look) -> str:
    plots = []
    for view in look.scene.views:
        photons = [record["views"][view]["photons"] for record in look.records]
        counts = np.concatenate([sample.images[view].ravel() for sample in look.samples])
        plots.append(histogram(f"{view}: photons per sample", photons, "expected photons in all planes"))
        plots.append(
            histogram(f"{view}: pixels, on a log10(1 + count) scale", counts, "camera counts", logarithmic=True)
        )
    plots.append(histogram("emitters per object", [thing["emitters"] for thing in look.objects], "emitters"))
    text = f"From {look.basis}; camera counts from the {len(look.samples)} samples shown above."
    return section("Distributions", paragraph(text), f'<div class="plots">{"".join(plots)}</div>')


def _signal(look: Look) -> str:
    rows = []
    for view in look.scene.views:
        found = [ratios for sample in look.samples if (ratios := signal_to_background(sample, view))]
        for name in NAMES if found else ():
            values = np.quantile([ratios[name] for ratios in found], (0, 0.5, 1))
            rows.append((view, name, *(f"{value:.3g}" for value in values)))
    if not rows:
        return ""
    text = (
        "Of the noise-free light's peak p and the mean background b: peak_over_background (p + b) / b, contrast p / b; "
        "foreground_mean is the mean light where it is at least p / 2, over b. "
        f"From the {len(look.samples)} samples shown above."
    )
    return section("Signal to background", table(["view", "", "least", "median", "most"], rows), paragraph(text))


def _views(look: Look) -> str:
    first = look.records[0]["views"]
    rows = [
        (
            name,
            size_px(view.grid.shape, view.montage),
            f"{view.grid.pixel_nm:g}",
            ", ".join(f"{z:g}" for z in first[name]["planes_nm"]),
            f"{first[name]['dose_per_plane']:g}",
            f"{first[name]['dose']:g}",
            _truncated(look, name),
        )
        for name, view in look.scene.views.items()
    ]
    head = ["view", "planes x rows x columns", "pixel, nm", "focus, nm", "dose per plane", "dose", "truncated objects"]
    text = (
        "Dose 1 is one widefield exposure of unit excitation; a view's dose is that of all its planes and tiles. "
        "Grid, focus and dose are those of the first sample made. An object is truncated where it reaches beyond the "
        f"field; counted in {look.basis}."
    )
    return section("Views and doses", table(head, rows), paragraph(text))


def _truncated(look: Look, view: str) -> str:
    if not look.objects:
        return "no objects"
    count = sum(view in thing["truncated"] for thing in look.objects)
    return f"{count} of {len(look.objects)} ({count / len(look.objects):.1%})"


def _parameters(look: Look) -> str:
    parts = []
    for name, view in look.scene.views.items():
        for part in (view.microscope, view.noise):
            parts.append(heading(f"{name}: {part.kind}"))
            parts.append(table(["parameter", "value", "meaning"], _fields(part)))
    text = "Values of the first sample made; what the scene draws at random differs: see each record."
    return section("Microscopes and detectors", paragraph(text), *parts)


def _fields(component: Any) -> Iterator[tuple[str, str, str]]:
    for name, field in type(component).model_fields.items():
        if name != "kind":
            yield name, _plain(getattr(component, name)), field.description or ""


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_plain, value))
    return "not set" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _origins(look: Look) -> str:
    cited = [
        (name, library.meta.get("licence", ""), library.meta.get("citation", ""))
        for name, library in look.dataset.libraries().items()
    ]
    rows = look.counted.origin_rows()
    parts = [table(["source", "licence", "objects looked at"], rows), paragraph(f"Counted in {look.basis}.")]
    if cited:
        parts.append(table(["library in this dataset", "licence", "cite as"], cited))
    return section("Shapes: sources and licences", *parts)


def _spec(look: Look) -> str:
    manifest = look.dataset.manifest
    rows: list[tuple[str, Any]] = [
        ("seed", manifest.seed),
        ("samples", manifest.samples),
        ("samples per shard", manifest.shard_size),
    ]
    rows += [(f"version of {name}", version) for name, version in sorted(manifest.versions.items())]
    rows.append(("SHA-256 of the scene", manifest.spec_hash))
    text = "The scene file as it was given; the values below it are those that were used."
    shown = verbatim(manifest.spec_text) if manifest.spec_text else paragraph("The scene was given in Python.")
    return section("Scene", paragraph(text), shown, table(["", "value"], rows))


def _use(look: Look) -> str:
    return section("Verify and read", verbatim(READING.format(view=next(iter(look.scene.views)))))


PARTS = (
    _summary,
    _splits,
    _gallery,
    _perspectives,
    _sheets,
    _histograms,
    _signal,
    _views,
    _parameters,
    _origins,
    sizes,
    duplicates,
    _spec,
    _use,
)
"""Of the report, in their order."""
