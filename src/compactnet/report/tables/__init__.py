"""All tables. A new one is a file in this folder and a line in `PAPER_TABLES` or `OTHER_TABLES`."""

from pathlib import Path
from types import MappingProxyType

from compactnet.report.columns import Table
from compactnet.report.sources import Sources
from compactnet.report.tables.budget import budget
from compactnet.report.tables.claims import claims
from compactnet.report.tables.class_accuracies import class_accuracies
from compactnet.report.tables.contrasts import contrasts
from compactnet.report.tables.experiment_runs import experiment_runs
from compactnet.report.tables.generated_data import generated_data
from compactnet.report.tables.guidelines import guidelines
from compactnet.report.tables.image_sizes import image_sizes
from compactnet.report.tables.paired import paired
from compactnet.report.tables.reduced_budget import reduced_budget
from compactnet.report.tables.results import results
from compactnet.report.tables.rivals import rivals
from compactnet.report.tables.speed_inference import speed_inference
from compactnet.report.tables.speed_training import speed_training
from compactnet.report.tables.table1 import table1
from compactnet.report.tables.table2 import table2
from compactnet.report.tables.table3 import table3
from compactnet.report.tables.table4 import table4
from compactnet.report.text import fill_section, remove_table, write_table

PAPER_TABLES = MappingProxyType({"table1": table1, "table2": table2, "table3": table3, "table4": table4})
OTHER_TABLES = (
    guidelines,
    claims,
    contrasts,
    paired,
    image_sizes,
    rivals,
    speed_inference,
    speed_training,
    experiment_runs,
    class_accuracies,
    reduced_budget,
    generated_data,
    results,
    budget,
)
TABLES = (*PAPER_TABLES.values(), *OTHER_TABLES)
"""Each is a function of the `Sources` that returns a `Table` or a list of them."""


def select_tables(paper=()):
    """Return `TABLES` with only some of the paper's tables.

    Args:
        paper: Their names, such as "table4"; None among them is ignored.
    """
    named = set(paper)
    return (*(table for name, table in PAPER_TABLES.items() if name in named), *OTHER_TABLES)


def make_tables(sources: Sources, tables=TABLES):
    """Return the `Table`s that some functions make, in order, those without rows included.

    Raises:
        InputError: a published table is missing.
    """
    made = [table(sources) for table in tables]
    return [table for one in made for table in ([one] if isinstance(one, Table) else one)]


def write_tables(folder, sources: Sources, tables=TABLES):
    """Write tables as CSV and Markdown, and their summaries into the folder's README.md if it has a place for them.

    Args:
        folder: Where the tables go.
        sources: The `Sources`.
        tables: Functions such as those in `TABLES`.

    Returns:
        Names of the tables written; those without rows are removed from the folder.

    Raises:
        InputError: a published table is missing, or a table cannot be written.
    """
    folder, written = Path(folder), []
    for table in make_tables(sources, tables):
        if not table.rows:
            remove_table(folder, table.name)
            continue
        write_table(folder, table)
        if table.summary:
            fill_section(folder / "README.md", table.name, table.summary.note, table.summary.columns, table.rows)
        written.append(table.name)
    return written
