"""Weights of a network that finds mitochondria in fluorescence images, learned from UroCell; CC BY-NC-SA 4.0."""
