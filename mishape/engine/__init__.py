"""The engine: sample, label, image, detect. It never imports em, learn or plugins."""
