"""Networks that learn shapes, each a component of the family ``models``."""
