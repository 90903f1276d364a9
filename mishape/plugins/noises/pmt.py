"""The detector of a point scanner: a photomultiplier or hybrid detector, analogue or photon counting."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mishape.engine.arrays import to_numpy
from mishape.engine.component import Real, Whole
from mishape.engine.device_noise import rounded
from mishape.plugins.noises.detector import Detector, Map, amplify
from mishape.plugins.noises.draws import HostDraws


class Pmt(Detector):
    """One detector that sees the pixels one after another, so it has no fixed pattern.

    Photoelectrons per dwell time are Poisson with the mean ``qe * (photons + background) + dark_counts``.

    ``analogue``: each photoelectron is amplified by a gamma-distributed gain of mean 1 and variance F**2 - 1, so that
    the amplified signal has a variance of F**2 times its mean; then + read noise -> * gain + offset -> round -> clip.

    ``counting``: pulses are counted by a non-paralysable counter, blind for `dead_time_ns` after each counted pulse;
    the image is the number of counts. For a mean of m photoelectrons and the ratio d of dead to dwell time, the mean
    number of counts is close to m / (1 + m * d) (Mueller 1973, Nucl. Instrum. Methods 112:47).

    The defaults are round values typical of the detectors of confocal microscopes, assumed by this project and not
    those of any maker's model.
    """

    kind: Literal["pmt"] = "pmt"
    mode: Literal["analogue", "counting"] = "analogue"
    """``analogue`` (default) integrates the current, ``counting`` counts pulses."""
    qe: Real = Field(default=0.4, gt=0, le=1)
    """Quantum efficiency, photoelectrons per photon; above 0 and at most 1. Default 0.4, typical of GaAsP cathodes;
    multialkali near 0.2."""
    dark_counts: Real = Field(default=0.01, ge=0, le=1e6)
    """Thermal photoelectrons per pixel; 0 to 1e6. Default 0.01: 10 000 per second at a dwell time of 1 us, typical
    uncooled."""
    excess_noise_factor: Real = Field(default=1.1, ge=1, le=4)
    """F, analogue only; 1 to 4, 1 is noiseless gain. Default 1.1: F**2 = g / (g - 1) for dynodes of gain g = 6 each."""
    read_noise_e: Real = Field(default=0.1, ge=0, le=1000)
    """Amplifier noise in photoelectrons, analogue only; 0 to 1000. Default 0.1: small beside one amplified
    photoelectron."""
    gain_counts_per_e: Real = Field(default=10.0, gt=0, le=65535)
    """Counts per photoelectron, analogue only; above 0, up to 65535. Default 10, assumed."""
    offset: Real = Field(default=100.0, ge=0, le=65535)
    """Counts of a dark pixel, analogue only; 0 to 65535. Default 100, assumed."""
    dwell_us: Real = Field(default=1.0, gt=0, le=1e6)
    """Time spent on a pixel in us, counting only; above 0, up to 1e6. Default 1, usual."""
    dead_time_ns: Real = Field(default=2.0, ge=0, le=1e6)
    """Time for which the counter is blind after a pulse in ns, counting only; 0 to 1e6. Default 2, typical of fast
    counters."""
    bit_depth: Whole = Field(default=16, ge=1, le=16)
    """Bits of the result, 1 to 16. Default 16."""

    def record(self, light: Map, background: Map | float, draws: HostDraws) -> NDArray[np.uint16]:
        """Return counts: light * QE + dark -> Poisson -> amplifier and converter, or counter."""
        expected = (light + background) * self.qe + self.dark_counts
        if self.mode == "counting":
            counts = _count(expected, self.dead_time_ns / (self.dwell_us * 1e3), draws)
            return to_numpy(rounded(counts, self._top))
        amplified = amplify(draws.poisson(expected, np.inf), self.excess_noise_factor**2 - 1, draws.rng)
        return draws.digitize(amplified, self.read_noise_e, self.gain_counts_per_e, self.offset, self._top)

    @property
    def _top(self) -> int:
        return int(2**self.bit_depth - 1)


def _count(expected: Map, dead: float, draws: HostDraws) -> Map:
    """Draw the number of counts in one dwell time; `dead` is the dead time as a fraction of it.

    At least n pulses are counted when n exponential gaps and n - 1 dead times fit the dwell time, which has the
    probability ``P(n, expected * (1 - (n - 1) * dead))``, P being the regularised lower incomplete gamma function.
    The draw inverts this distribution exactly, by bisection.
    """
    if dead == 0:
        return draws.poisson(expected, np.inf)
    from scipy.special import gammainc

    chance = draws.rng.random(expected.shape)
    surely = np.zeros(expected.shape)  # this many pulses are counted
    beyond = np.minimum(np.ceil(1 / dead), np.ceil(expected + 40 * np.sqrt(expected) + 40)) + 1  # and fewer than this
    while np.any(beyond - surely > 1):
        middle = np.floor((surely + beyond) / 2)
        live = np.maximum(1 - (middle - 1) * dead, 0.0)
        counted = chance < np.where(middle == 0, 1.0, gammainc(np.maximum(middle, 1), expected * live))
        surely, beyond = np.where(counted, middle, surely), np.where(counted, beyond, middle)
    return surely
