"""The work that ways of imaging are compared on: emitters on a tube, three planes, and the exact image of them.

The exact images come from `direct_sum`, 6 and 10 minutes of one core; they stand in peers_exact.npz, single precision.
To make them again: python -m benchmarks.peers.work
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.task import Task
from mishape.engine.grid import Grid
from mishape.engine.imaging import PSFMicroscope, direct_sum
from mishape.engine.types import Emitters
from mishape.plugins.microscopes.confocal import Confocal
from mishape.plugins.microscopes.epi import Epi

Image = NDArray[np.float64]
EXACT = Path(__file__).parent / "peers_exact.npz"
PIXEL_NM = {"widefield": 80.0, "confocal": 70.0}
SCOPES: dict[str, PSFMicroscope] = {"widefield": Epi(preset="epi2"), "confocal": Confocal(preset="con1")}


@dataclass(frozen=True)
class Work:
    """One image to make: what is seen, by what, on which pixels."""

    modality: str
    scope: PSFMicroscope
    grid: Grid
    emitters: Emitters

    @classmethod
    def of(cls, modality: str, emitters: int = 3000, pixels: int = 128) -> Work:
        """Return the work of a modality; the full one by default."""
        grid = Grid(shape=(3, pixels, pixels), pixel_nm=PIXEL_NM[modality], z_step_nm=250.0)
        return cls(modality, SCOPES[modality], grid, tube(emitters, pixels / 128))

    def task(self) -> Task:
        """Return the same in plain numbers."""
        z_nm, pixels = self.grid.centers_nm()[0], self.grid.shape[1]
        return Task(self.modality, self.emitters.xyz_nm, self.emitters.photons, pixels, self.grid.pixel_nm, z_nm)

    def exact(self) -> Image:
        """Return the exact image: the stored one of the full work, else the direct sum."""
        if len(self.emitters) == 3000 and self.grid.shape == (3, 128, 128):
            with np.load(EXACT, allow_pickle=False) as stored:
                return np.asarray(stored[self.modality], dtype=np.float64)
        return direct_sum(self.scope, self.emitters, self.grid)


def tube(count: int, size: float = 1.0) -> Emitters:
    """Return emitters of 100 photons on the surface of a bent tube: 6 um long, 300 nm wide, z within +-550 nm."""
    rng = np.random.default_rng(11)
    along, around = rng.uniform(-1, 1, count), rng.uniform(0, 2 * np.pi, count)
    x = 3000 * size * along
    y = 800 * size * np.sin(2 * along) + 150 * np.cos(around)
    z = 400 * along + 150 * np.sin(around)
    return Emitters(np.stack([x, y, z], axis=1), np.full(count, 100.0))


def error(image: Image, exact: Image, scaled: bool = False) -> float:
    """Return the largest difference over the exact image's peak; `scaled` first, by the factor that fits best."""
    factor = np.vdot(image, exact) / np.vdot(image, image) if scaled else 1.0
    return float(np.abs(factor * image - exact).max() / exact.max())


def main() -> None:
    exact = {}
    for modality in SCOPES:
        work = Work.of(modality)
        exact[modality] = direct_sum(work.scope, work.emitters, work.grid).astype(np.float32)
    np.savez_compressed(EXACT, **exact)


if __name__ == "__main__":
    main()
