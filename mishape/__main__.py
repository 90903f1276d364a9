"""``python -m mishape`` is the command ``mishape``."""

from mishape.cli import main

main()
