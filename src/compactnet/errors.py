"""The one error that a person can mend: commands print its lines and exit with status 2, without a traceback."""


class InputError(ValueError):
    """Something the caller gave is wrong; a line says what came, what is allowed and what to do next.

    Args:
        *lines: One line for each thing that is wrong: most errors have one, a list of damaged files has many.
    """

    @property
    def lines(self):
        """The lines, each without a break."""
        return tuple(" ".join(str(line).split()) for line in self.args)

    def __str__(self):
        return "\n".join(self.lines)
