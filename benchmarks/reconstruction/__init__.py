"""Shapes from images without learning: what every learned answer stands beside."""
