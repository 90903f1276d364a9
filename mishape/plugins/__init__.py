"""Built-in components; each file is one kind, registered through the entry points that third parties use."""
