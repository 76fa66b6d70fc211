"""``python -m netwatch``: the command line without its entry point, in a checkout or for another interpreter."""

from netwatch.cli.app import main

main()
