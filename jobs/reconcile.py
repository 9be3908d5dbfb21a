"""`retail reconcile` as a script for spark-submit; same arguments, same exit codes."""

import sys

from retail.cli import main

if __name__ == "__main__":
    main(["reconcile", *sys.argv[1:]])
