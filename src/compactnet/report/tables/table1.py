"""Table I of the paper: parameters, complexity and speed."""

from compactnet.report.sources import Sources
from compactnet.report.tables.complexity_columns import complexity_table


def table1(sources: Sources):
    """Return Table I."""
    return complexity_table(sources, "table1", "Table I: parameters, complexity and speed")
