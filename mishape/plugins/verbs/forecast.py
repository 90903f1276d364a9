"""What ``mishape generate --dry-run`` says."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mishape.engine.spec import Spec


def say_forecast(spec: Spec, workers: int, device: str, skip_errors: bool, commercial_ok: bool) -> None:
    """Print how long all samples will take and how large they will be, whatever is made of them already."""
    from mishape.engine.forecast import forecast

    seen = forecast(spec, device, skip_errors, commercial_ok)
    took = f"{seen.set_up_s:.1f} s to set up, then {_time(seen.sample_s)} and {_size(seen.sample_bytes)} a sample"
    print(f"{seen.samples} sample(s), {workers} worker(s): about {_time(seen.seconds(workers))}, {_size(seen.bytes)}")
    print(f"measured on {seen.tried} of them: {took}")


def _time(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.2g} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"


def _size(count: float) -> str:
    for unit, length in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= length:
            return f"{count / length:.3g} {unit}"
    return f"{count / 1e3:.3g} kB"
