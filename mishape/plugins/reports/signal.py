"""Signal to background, by its three names."""

from __future__ import annotations

import numpy as np

from mishape.engine.types import Sample

NAMES = ("peak_over_background", "contrast", "foreground_mean")


def signal_to_background(sample: Sample, view: str) -> dict[str, float] | None:
    """Return a view's ratios by the names that `poisson` gives them; nothing without a background.

    Of the noise-free light L that the detector sees, its peak p, and the mean background b: ``(p + b) / b``; ``p / b``;
    and the mean of L where it is at least ``p / 2``, over b.
    """
    noise = sample.scene.views[view].noise
    if not hasattr(noise, "background_light"):
        return None
    photons = np.asarray(sample.photons[view])
    light = noise.fluorescence(photons) * noise.strength(photons)  # type: ignore[attr-defined]
    background = float(np.mean(noise.background_light(light, None)))
    peak = float(light.max())
    if background <= 0 or peak <= 0:
        return None
    bright = float(light[light >= peak / 2].mean())
    ratios = ((peak + background) / background, peak / background, bright / background)
    return dict(zip(NAMES, ratios, strict=True))
