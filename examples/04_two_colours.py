"""04 Two colours of one field: how much of the green image is red.

python examples/04_two_colours.py
"""

from pathlib import Path

import mishape

spec = mishape.load_spec(Path(__file__).with_suffix(".yaml"))
sample = mishape.simulate(spec.scene(0))

for view in ("green", "red"):
    labels = sample.truths[f"{view}.masks_3d"].data
    print(
        f"{view}: {len(set(labels.ravel().tolist()) - {0})} mitochondria in focus, "
        f"{(sample.truths[f'{view}.masks_2d'].data > 0).mean():.0%} of the pixels are foreground"
    )
truncated = [thing["number"] for thing in sample.record["objects"] if thing["truncated"]]
print(f"{len(truncated)} of {len(sample.shapes)} mitochondria reach beyond the field")
