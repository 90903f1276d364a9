"""Built-in labelers: the file name is the kind."""
