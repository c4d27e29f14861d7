"""``python -m toolchain`` is ``spikec``."""

import sys

from toolchain.cli import main

if __name__ == "__main__":
    sys.exit(main())
