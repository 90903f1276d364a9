"""A model of shapes and a distribution that are whole and tiny, as training files have them."""

from __future__ import annotations

from typing import Any

MODEL: dict[str, Any] = {"kind": "grid_vae", "cells": [4, 2, 2], "channels": 2, "width": 16, "lattice": [24, 12, 12]}
PRIOR: dict[str, Any] = {
    "model": {"kind": "flow", "width": 32, "blocks": 1, "steps": 5},
    "variations": 4,
    "training": {"steps": 60, "batch": 32, "learning_rate": 0.003, "check_every": 30},
}
