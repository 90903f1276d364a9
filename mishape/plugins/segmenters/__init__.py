"""Segmenters: pictures -> which pixels are foreground."""
