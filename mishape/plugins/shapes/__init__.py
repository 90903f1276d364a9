"""Built-in shapes: the file name is the kind."""
