"""Table III of the paper: complexity and accuracy on acoustic scenes."""

from compactnet.checks import format_shape
from compactnet.measure import CONVENTION
from compactnet.measure.conventions import ASC_INPUT
from compactnet.networks import CATALOGUE
from compactnet.report import published
from compactnet.report.columns import MODEL, Column, Section, Table
from compactnet.report.sources import Sources
from compactnet.report.tables.accuracy_columns import (
    ACCURACY_NOTE,
    accuracy_columns,
    accuracy_section,
    accuracy_values,
)
from compactnet.report.tables.complexity_columns import COUNTING_CONVENTION, COUNTING_NOTE, difference_column

COMPLEXITY = (
    Column("mflops_published", "MFLOPs, paper", ".1f"),
    Column("mflops_counted", "counted", ".2f"),
    difference_column("mflops_difference"),
)


def table3(sources: Sources):
    """Return Table III."""
    experiments = sources.of_table("table3")
    paper = published.read(sources.published, "table3")
    networks = [published.network_of(printed["model"]) for printed in paper]
    sources.counts.prepare([(network, CATALOGUE[network], ASC_INPUT) for network in networks])
    rows = []
    for printed, network in zip(paper, networks, strict=True):
        counted = sources.counts.get(network, CATALOGUE[network], ASC_INPUT).mflops
        row = {
            "model": printed["model"],
            "network": network,
            "mflops_published": printed["mflops"],
            "mflops_counted": counted,
            "mflops_difference": counted - printed["mflops"],
            "convention": CONVENTION,
        }
        for experiment in experiments:
            row |= accuracy_values(experiment, printed, network, sources)
        rows.append(row)
    accuracies = [column for experiment in experiments for column in accuracy_columns(experiment)]
    return Table(
        "table3",
        "Table III: acoustic scenes",
        (COUNTING_NOTE, ACCURACY_NOTE),
        (MODEL, Column("network", "network"), *COMPLEXITY, COUNTING_CONVENTION, *accuracies),
        rows,
        (
            Section(f"Complexity with {format_shape(ASC_INPUT)} inputs", (MODEL, *COMPLEXITY)),
            *(accuracy_section(experiment, rows) for experiment in experiments),
        ),
    )
