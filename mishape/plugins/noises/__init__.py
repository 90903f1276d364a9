"""Built-in noises: the file name is the kind."""
