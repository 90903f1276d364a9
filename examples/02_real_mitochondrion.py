"""02 One mitochondrion in two microscopes, and its truth beside them.

python examples/02_real_mitochondrion.py
"""

from pathlib import Path

import mishape

scene = mishape.load_spec(Path(__file__).with_suffix(".yaml")).scene(0)
sample = mishape.simulate(scene)

mitochondrion = sample.shapes[0]
print(f"{mitochondrion.id}: {mitochondrion.source} ({mitochondrion.licence})")
for view in scene.views:
    mask = sample.truths[f"{view}.masks_2d"]
    inside = sample.photons[view][0][mask.data[0] > 0].sum() / sample.photons[view].sum()
    print(f"{view}: {mask.grid.shape} pixels of {mask.grid.pixel_nm:g} nm, {inside:.0%} of the light in the mask")

# The solid in 25 nm voxels: the truth that a 3D segmentation should find.
solid = sample.truths["epi.masks_3d"]
print(f"volume: {(solid.data > 0).sum() * solid.grid.pixel_nm**3 / 1e9:.3f} um3")
