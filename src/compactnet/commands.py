"""How commands end: what a person can mend is one line and exit status 2, Ctrl-C is one line and 130."""

import sys

from compactnet.errors import InputError


def run_command(main):
    """Call `main` and return its exit status.

    Args:
        main: Function without arguments that returns an exit status, or None for 0.
    """
    try:
        return main() or 0
    except InputError as error:
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. What was finished is kept; run the same command again to go on.\n")
        return 130
