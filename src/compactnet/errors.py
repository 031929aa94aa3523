"""Errors that a command reports in plain lines, without a traceback."""


class _PlainError(Exception):
    @property
    def lines(self):
        """The lines of the message, each without a line break."""
        return tuple(" ".join(str(line).split()) for line in self.args)

    def __str__(self):
        return "\n".join(self.lines)


class InputError(_PlainError, ValueError):
    """The caller gave something wrong. Commands print its lines and exit with status 2.

    Args:
        *lines: One line for each problem: what came, what is allowed, what to do next. Most errors have one line; a
            list of damaged files has many.
    """


class ResourceError(_PlainError):
    """The machine failed, not the input: the disk is full, or a process was killed. Commands exit with status 1.

    Args:
        *lines: What failed, why, and what to do next.
    """
