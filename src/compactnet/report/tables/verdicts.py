"""What tables say of a claim."""

from types import MappingProxyType

SUPPORTED = "supported"
CONTRADICTED = "contradicted"
UNDECIDED = "undecided"
NOT_ENOUGH = "not enough runs"
PROVISIONAL = "provisional: "
"""Before a verdict while planned runs are missing."""

STYLES = MappingProxyType({SUPPORTED: "same", CONTRADICTED: "apart", UNDECIDED: "unknown", NOT_ENOUGH: "unknown"})
"""How the cell of a verdict looks."""


def verdict_of(row):
    """Return the verdict of a row, whether it is provisional or not."""
    return row["verdict"].removeprefix(PROVISIONAL)
