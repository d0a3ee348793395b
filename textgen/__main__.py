"""``python -m textgen`` is the command line."""

import sys

from textgen.cli import main

if __name__ == "__main__":
    sys.exit(main())
