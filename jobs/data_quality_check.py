"""`retail check` as a script for spark-submit; same arguments, same exit codes."""

import sys

from retail.cli import main

if __name__ == "__main__":
    main(["check", *sys.argv[1:]])
