"""``python -m spikec`` is ``spikec``."""

import sys

from spikec.cli import main

if __name__ == "__main__":
    sys.exit(main())
