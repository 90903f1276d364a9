"""Datasets written as other programs read them."""
