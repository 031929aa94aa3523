"""The one error that a person can mend: commands print its line and exit with status 2, without a traceback."""


class InputError(ValueError):
    """Something the caller gave is wrong; the message says what came, what is allowed and what to do next."""
