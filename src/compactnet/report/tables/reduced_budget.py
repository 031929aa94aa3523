"""Runs on real data that follow no config."""

from compactnet.report.columns import Table
from compactnet.report.sources import Sources
from compactnet.report.tables.run_rows import ACCURACIES_NOTE, COLUMNS, run_rows

NOTE = (
    "Real data, but fewer epochs or samples than the experiment's config, other settings, or a config that is not in "
    "`configs/`. **Do not compare these accuracies with the paper's.** "
    "Each row has its budget; the last column lists what differs from the config."
)


def reduced_budget(sources: Sources):
    """Return the table of runs on real data that follow no config."""
    records = [record for record in sources.others if not record.generated]
    return Table("reduced_budget", "Reduced budget", (NOTE, ACCURACIES_NOTE), COLUMNS, run_rows(records, sources))
