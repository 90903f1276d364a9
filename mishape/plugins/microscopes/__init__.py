"""Built-in microscopes: the file name is the kind."""
