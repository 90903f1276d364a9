"""The card of a dataset: a README.md that says what is in it, where it comes from, and on what terms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mishape.engine.files import write_whole
from mishape.engine.hooks import hookimpl
from mishape.plugins.reports.counted import Counted, size_px
from mishape.plugins.reports.look import Look

if TYPE_CHECKING:
    from mishape.engine.dataset import Dataset

NAME = "README.md"
READING = """\
```python
import mishape

dataset = mishape.open_dataset("DATASET")
item = dataset[0]
image = item["{view}.image"]  # (Z, Y, X) uint16, memory-mapped
print(item.record["split"], item.record["objects"], list(item.arrays))
```

`mishape verify DATASET` compares every file with its hash and makes some samples anew; `mishape export DATASET -o OUT
--layout LAYOUT` writes it as other programs read it. Without mishape: docs/datasets.md of the project says how the
files lie; they are OME-TIFF, .npy and JSON."""


@hookimpl
def mishape_dataset_done(dataset: Dataset) -> None:
    """Write ``README.md`` into the dataset's folder."""
    write_whole(dataset.folder / NAME, card(dataset))


def card(dataset: Dataset) -> str:
    """Return the card: a pure function of the dataset's content, without dates and places."""
    counted = Counted.of(dataset.records())
    parts = [
        f"# {Look(dataset).title}",
        _summary(dataset, counted),
        _splits(dataset, counted),
        _views(dataset, counted),
    ]
    parts += [_origins(dataset, counted), _statistics(counted), _making(dataset)]
    return "\n\n".join([*parts, "## Reading it", READING.format(view=next(iter(dataset.manifest.views)))]) + "\n"


def _summary(dataset: Dataset, counted: Counted) -> str:
    manifest = dataset.manifest
    made = sum(counted.samples.values())
    holes = manifest.samples - made
    lines = [
        f"Simulated fluorescence microscopy with exact ground truth: {made} samples of {len(manifest.views)} view(s), "
        f"{sum(counted.objects)} objects, {counted.distinct} distinct shapes."
    ]
    if holes:
        lines.append(f"{holes} of {manifest.samples} samples failed when they were made, and were left out.")
    return " ".join(lines)


def _splits(dataset: Dataset, counted: Counted) -> str:
    rows = [(split, counted.samples[split], len(counted.shapes.get(split, ()))) for split in dataset.manifest.splits]
    text = "No shape stands in two splits; where shapes have folds, no fold does."
    if empty := [split for split, share in dataset.manifest.splits.items() if share > 0 and not counted.samples[split]]:
        text = f"No sample is in {', '.join(empty)}: make more samples to fill it. {text}"
    return "\n\n".join(["## Splits", _table(("split", "samples", "distinct shapes"), rows), text])


def _views(dataset: Dataset, counted: Counted) -> str:
    first = next(dataset.records())
    rows = []
    for name, about in dataset.manifest.views.items():
        given = first["scene"]["views"][name]
        kinds = (given["microscope"]["kind"], given.get("noise", {"kind": "none"})["kind"])
        size = size_px(about["grid"]["shape"], about["montage"])
        planes = ", ".join(f"{z:g}" for z in first["views"][name]["planes_nm"])
        dose = _span(counted.views[name]["dose"])
        rows.append((name, ", ".join(kinds), size, f"{about['grid']['pixel_nm']:g}", planes, dose))
    head = ("view", "microscope, detector", "planes x rows x columns", "pixel, nm", "planes, nm", "dose")
    text = "Dose 1 is one widefield exposure of unit excitation; a view's is that of all its planes and tiles."
    return "\n\n".join(["## Views", _table(head, rows), text])


def _origins(dataset: Dataset, counted: Counted) -> str:
    parts = ["## Where the shapes come from", _table(("source", "licence", "objects"), counted.origin_rows())]
    cited = {str(library.meta.get("citation", "")) for library in dataset.libraries().values()} - {""}
    parts += [f"Please cite: {text}" for text in sorted(cited)]
    return "\n\n".join(parts)


def _statistics(counted: Counted) -> str:
    rows = [
        ("objects per sample", *_quantiles(counted.objects)),
        ("emitters per object", *_quantiles(counted.emitters)),
    ]
    for name, numbers in counted.views.items():
        rows.append((f"{name}: expected photons per sample", *_quantiles(numbers["photons"])))
        rows.append((f"{name}: expected photons of the brightest pixel", *_quantiles(numbers["photons_peak"])))
        rows.append((f"{name}: saturated pixels, %", *_quantiles([100 * share for share in numbers["saturated"]])))
    share = counted.truncated / max(len(counted.emitters), 1)
    text = (
        f"{counted.truncated} objects ({share:.1%}) reach beyond the field of a view. Expected photons are those of "
        "the emitters; a detector with `sbr` scales them to its background."
    )
    return "\n\n".join(["## Statistics", _table(("", "least", "median", "most"), rows), text])


def _making(dataset: Dataset) -> str:
    manifest = dataset.manifest
    versions = ", ".join(f"{name} {version}" for name, version in sorted(manifest.versions.items()))
    text = (
        f"{manifest.samples} samples, {manifest.shard_size} to a shard, seed {manifest.seed}, whatever the scene file "
        f"below says of these; on {manifest.device}, {manifest.code_path} code, with {versions}."
    )
    parts = ["## How it was made", text]
    if manifest.spec_text:
        parts.append(f"```yaml\n{manifest.spec_text.rstrip()}\n```")
    parts.append(f"SHA-256 of the scene: `{manifest.spec_hash}`")
    return "\n\n".join(parts)


def _quantiles(values: Sequence[float]) -> Iterator[str]:
    return (f"{value:.4g}" for value in np.quantile(values, (0, 0.5, 1))) if values else iter(("-",) * 3)


def _span(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
