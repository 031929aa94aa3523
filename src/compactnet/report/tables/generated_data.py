"""Runs on generated data."""

from compactnet.report.columns import Table
from compactnet.report.sources import Sources
from compactnet.report.tables.run_rows import COLUMNS, run_rows

NOTE = (
    "**Generated data**, not the real data sets. These runs show that the programs work; they say nothing about the "
    "networks."
)


def generated_data(sources: Sources):
    """Return the table of runs on generated data."""
    records = [
        record for of_one in (*sources.members.values(), sources.others) for record in of_one if record.generated
    ]
    return Table("generated_data", "Generated data", (NOTE,), COLUMNS, run_rows(records, sources))
