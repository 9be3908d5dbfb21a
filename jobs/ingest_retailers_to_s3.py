"""`retail ingest` as a script for spark-submit; same arguments, same exit codes."""

import sys

from retail.cli import main

if __name__ == "__main__":
    main(["ingest", *sys.argv[1:]])
