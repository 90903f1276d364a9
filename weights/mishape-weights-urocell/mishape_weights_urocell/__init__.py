"""Weights of a prior of mitochondrial shape, learned from UroCell; CC BY-NC-SA 4.0."""
