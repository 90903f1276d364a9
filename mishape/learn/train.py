"""Training: steps that are pure functions of their number, so that a run goes on where it was interrupted."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from mishape.engine.errors import MishapeError
from mishape.engine.files import canonical, disk_errors
from mishape.learn.networks import on_device
from mishape.learn.plan import StepsPlan
from mishape.learn.processes import Processes
from mishape.learn.tensors import read_tensors, write_tensors

CHECKPOINT, WEIGHTS, METRICS = "checkpoint.safetensors", "weights.safetensors", "metrics.jsonl"
WARM_UP = 200
"""Steps over which the learning rate rises."""
Batch = dict[str, Tensor]
Report = Callable[[str, int, int], None]


class TrainingError(MishapeError):
    """A training cannot go on."""


@dataclass
class Progress:
    """How far a training is.

    Parameters
    ----------
    step
        Steps that were done.
    best
        The best validation so far; higher is better.
    waited
        Validations since then.
    """

    step: int = 0
    best: float = -math.inf
    waited: int = 0


@dataclass
class Trainer:
    """One training in one process of possibly many.

    Parameters
    ----------
    network
        What is trained: ``loss(batch, generator)`` gives what is to be made small, and numbers to write down.
    steps
        How long and how fast.
    seed
        Of the noise in each step.
    identity
        All that the outcome depends on: a checkpoint of another is refused.
    folder
        Where checkpoints, weights and metrics go.
    batch_of
        Step -> this process's part of its batch.
    validate
        Network -> a score, higher is better; None if nothing is validated with.
    about
        What the weights' file says.
    device, processes
        Where, and beside how many others.
    """

    network: Any
    steps: StepsPlan
    seed: int
    identity: str
    folder: Path
    batch_of: Callable[[int], Batch]
    validate: Callable[[Any], float] | None
    about: dict[str, Any]
    device: str = "cpu"
    processes: Processes = field(default_factory=Processes)

    def __post_init__(self) -> None:
        self.network = self.network.to(self.device)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), weight_decay=self.steps.weight_decay)
        self.progress = Progress()

    def run(self, report: Report = lambda step, done, total: None) -> None:
        """Train to the end, from the last checkpoint if there is one."""
        steps = self.steps
        # Said aloud, the number binds all of torch's libraries; by default some choose theirs, and so the last bits.
        torch.set_num_threads(torch.get_num_threads())
        if (self.folder / CHECKPOINT).is_file():
            self._resume()
        if self.processes.is_first:
            self._forget()
        begun = time.monotonic()
        with ThreadPoolExecutor(1) as ahead:  # the next batch is drawn while one is learned from
            coming = ahead.submit(self.batch_of, self.progress.step)
            while self.progress.step < steps.steps and not self._has_stopped():
                batch, coming = coming.result(), ahead.submit(self.batch_of, self.progress.step + 1)
                numbers = self._step(self.progress.step, batch)
                self.progress.step += 1
                done = self.progress.step
                report("steps", done, steps.steps)
                if done % steps.check_every == 0 or done == steps.steps:
                    self._check({**numbers, "seconds": time.monotonic() - begun})

    def _has_stopped(self) -> bool:
        patience = self.steps.patience
        return patience > 0 and self.progress.waited >= patience

    def _step(self, number: int, given: Batch) -> dict[str, float]:
        batch = on_device(given, self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.steps, number)
        generator = torch.Generator().manual_seed(hash_of(self.seed, number, self.processes.rank))
        kind, asked = self.device.split(":")[0], self.steps.bfloat16
        with torch.autocast(kind, torch.bfloat16, enabled=kind == "cuda" if asked is None else asked):
            loss, numbers = self.network.loss(batch, generator)
        self.optimizer.zero_grad()
        loss.backward()
        self.processes.average(self.network.parameters())
        norm = float(torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.steps.largest_gradient or math.inf))
        error = float(loss.detach())
        if not (math.isfinite(error) and math.isfinite(norm)):
            self._stop(number, error, norm)
        self.optimizer.step()
        return {"loss": error, **numbers}

    def _stop(self, number: int, loss: float, norm: float) -> NoReturn:
        has = (self.folder / CHECKPOINT).is_file()
        kept = f"the last good checkpoint is in {str(self.folder)!r}" if has else "no checkpoint was written yet"
        raise TrainingError(
            f"step {number}: the loss is {loss:g}, the norm of its gradient {norm:g}: training stopped, {kept}; give a "
            "lower learning_rate"
        )

    def _check(self, numbers: dict[str, float]) -> None:
        """Validate, and write what there is to keep."""
        score = None if self.validate is None else self.validate(self.network)
        better, so_far = score is None or score > self.progress.best, self.progress
        so_far.best, so_far.waited = (score or 0.0, 0) if better else (so_far.best, so_far.waited + 1)
        if not self.processes.is_first:
            return
        line = {"step": self.progress.step, **numbers, "score": score}
        with disk_errors(self.folder), (self.folder / METRICS).open("a", encoding="utf-8") as file:
            file.write(canonical(line) + "\n")
        if better:
            write_tensors(self.folder / WEIGHTS, self.network.state_dict(), {**self.about, "validation": score})
        self._keep()

    def _forget(self) -> None:
        """Leave out metrics of steps that will be done anew, and a line that was not written to its end."""
        path = self.folder / METRICS
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        kept = [line for line in lines if _step_of(line) <= self.progress.step]
        with disk_errors(self.folder):
            path.write_text("".join(line + "\n" for line in kept), encoding="utf-8")

    def _keep(self) -> None:
        state = self.optimizer.state_dict()["state"]
        moments = {f"adam.{i}.{name}": value for i, values in state.items() for name, value in values.items()}
        weights = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        about = {"identity": self.identity, "progress": vars(self.progress)}
        write_tensors(self.folder / CHECKPOINT, {**weights, **moments}, about)

    def _resume(self) -> None:
        tensors, about = read_tensors(self.folder / CHECKPOINT)
        if about["identity"] != self.identity:
            raise TrainingError(f"{str(self.folder)!r} holds another training: give another folder, or the same file")
        weights = {n.removeprefix("network."): v for n, v in tensors.items() if n.startswith("network.")}
        self.network.load_state_dict(weights)
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith("adam."):
                _, parameter, moment = name.split(".")
                state.setdefault(int(parameter), {})[moment] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
        self.progress = Progress(**about["progress"])


def _step_of(line: str) -> float:
    """Return the step of a line of metrics; infinity for what is none."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, LookupError, TypeError):
        return math.inf


def learning_rate(plan: StepsPlan, step: int) -> float:
    """Return the rate of a step: a linear rise, then half a cosine down to a hundredth, unless it is constant."""
    if plan.schedule == "constant":
        return plan.learning_rate
    rise = min(1.0, (step + 1) / min(WARM_UP, plan.steps))
    return plan.learning_rate * rise * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / plan.steps)))


def hash_of(seed: int, step: int, rank: int) -> int:
    """Return the seed of a step's noise."""
    from mishape.engine.seeding import Stage, stream

    return int(stream(seed, step, Stage.NOISE, f"learn.{rank}").integers(2**62))
