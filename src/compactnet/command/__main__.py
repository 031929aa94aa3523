"""`python -m compactnet.command`, where the command itself is not on the path."""

import sys

from compactnet.command import main

if __name__ == "__main__":
    sys.exit(main())
