"""`python -m polysched`: the command line."""

import sys

from .target.bench.cli import main

if __name__ == "__main__":
    sys.exit(main())
