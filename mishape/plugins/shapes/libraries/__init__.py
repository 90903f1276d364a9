"""Shape libraries that come with mishape; each is a folder with its own licence."""
