"""Outer membranes of five mitochondria of neuropil, from electron tomography (CC BY 4.0, see LICENSE)."""
