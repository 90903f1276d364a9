"""06 What 3 um of water cost under an oil objective, where the focus goes, and what a spinning disk makes of it.

python examples/06_live_cell_at_depth.py
"""

from pathlib import Path

import numpy as np

import mishape

scene = mishape.load_spec(Path(__file__).with_suffix(".yaml")).scene(0)
sample = mishape.simulate(scene)

for name, view in scene.views.items():
    planes, focus = view.grid.centers_nm()[0], view.sharp_grid.centers_nm()[0]
    peak = view.microscope.psf(np.zeros(1), focus[1:2], planes[1])[0, 0] * 1e6
    light = sample.photons[name].sum() / len(planes) / sample.emitters.photons.sum()
    print(f"{name}: planes at {planes} nm focus on z {focus.round()} nm")
    print(f"  in focus {peak:.1f} of an emitter's photons per um2; {light:.0%} of all photons are in a plane's field")
