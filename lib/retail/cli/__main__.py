"""`python -m retail.cli`."""

from retail.cli import main

main()
