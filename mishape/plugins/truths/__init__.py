"""Built-in truths: the file name is the kind."""
