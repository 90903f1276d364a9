"""The parts of a spec that are the same for every sample: seed, number, shards and splits."""

from __future__ import annotations

from pydantic import Field, field_validator

from mishape.engine.component import Flag, Model, Real, Whole
from mishape.engine.scene import Format, Name
from mishape.engine.splits import Ratios
from mishape.engine.wording import problem, shown


class DatasetPlan(Model):
    """How samples are laid out on disk."""

    shard_size: Whole = Field(default=64, ge=1, le=100_000)
    """Samples per shard, the unit of work and of resuming; 1 to 100000; default 64."""
    splits: dict[Name, Real] = Field(default_factory=lambda: {"all": 1.0})
    """Share of each split, for example {train: 0.7, val: 0.1, test: 0.2}; default one split named all."""
    every_shape: Flag = False
    """Show each shape of the first object's source once before any again, a sample being of its shape's split; by
    default splits are drawn in their shares, and each goes through its own shapes; default false."""
    copy_library: Flag = True
    """Copy each finite library that is used into the dataset; default true."""

    @field_validator("splits")
    @classmethod
    def _some_share(cls, value: dict[str, float]) -> dict[str, float]:
        if any(share < 0 for share in value.values()) or sum(value.values()) <= 0:
            raise problem(f"{shown(value)} is not right: give each split a share >= 0, at least one above 0")
        return value

    @property
    def ratios(self) -> Ratios:
        """The splits of positive share."""
        return tuple((name, share) for name, share in self.splits.items() if share > 0)


class Head(Model):
    """The parts of a spec that are the same for every sample."""

    mishape: Format
    """Version of the spec format; 1."""
    seed: Whole = Field(default=0, ge=0, lt=2**63)
    """Seed of all random streams; any whole number from 0; default 0."""
    samples: Whole = Field(default=1, ge=1, le=100_000_000)
    """Number of samples; default 1."""
    dataset: DatasetPlan = DatasetPlan()
    """Shards and splits."""
