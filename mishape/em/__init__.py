"""From label volumes of electron microscopy to libraries of shapes, at any size."""
