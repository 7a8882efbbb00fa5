"""`python -m kadapter` is `kadapter`."""

from kadapter.cli import main

main()
