"""Table IV of the paper: complexity and accuracy on sound events and images."""

from compactnet.checks import format_shape
from compactnet.measure import CONVENTION, PUBLISHED_CONVENTION, published_mflops
from compactnet.measure.conventions import ASC_INPUT, IC_PUBLISHED_INPUT, SED_INPUT
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

SCALING_NOTE = (
    "The paper's MFLOPs were not counted with the inputs of the tasks; they follow from Table I: "
    f"*{PUBLISHED_CONVENTION}*. The counted MFLOPs are those of the real networks with the inputs in the headings."
)


def table4(sources: Sources):
    """Return Table IV."""
    experiments = sources.of_table("table4")
    paper = published.read(sources.published, "table4")
    names = [published.network_of(printed["model"]) for printed in paper]
    # {task: {input shape: {network: its spec}}}
    inputs = {"sed": {SED_INPUT: CATALOGUE}, "ic": {IC_PUBLISHED_INPUT: CATALOGUE}}
    for experiment in experiments:
        specs = {network.name: network for network in experiment.networks}
        inputs[experiment.data.paper_task][experiment.data.network_input_shape] = specs
    wanted = [(ASC_INPUT, CATALOGUE), *(pair for by_shape in inputs.values() for pair in by_shape.items())]
    sources.counts.prepare([(name, specs[name], shape) for shape, specs in wanted for name in names if name in specs])
    rows = []
    for printed, name in zip(paper, names, strict=True):
        row = {"model": printed["model"], "network": name, "convention": CONVENTION}
        mflops = sources.counts.get(name, CATALOGUE[name], ASC_INPUT).mflops
        for task, by_shape in inputs.items():
            paper_mflops, scaled = printed[f"{task}_mflops"], published_mflops(task, mflops, CATALOGUE[name])
            row[f"{task}_mflops_published"] = paper_mflops
            row[f"{task}_mflops_published_convention"] = scaled
            row[f"{task}_mflops_difference"] = scaled - paper_mflops
            for shape, specs in by_shape.items():
                if name not in specs:
                    continue
                counted = sources.counts.get(name, specs[name], shape).mflops
                row[f"{task}_mflops_counted_{format_shape(shape)}"] = counted
                row[f"{task}_mflops_counted_{format_shape(shape)}_difference"] = counted - paper_mflops
        for experiment in experiments:
            row |= accuracy_values(experiment, printed, name, sources)
        rows.append(row)
    complexity = {task: _complexity_columns(task, by_shape) for task, by_shape in inputs.items()}
    accuracies = [column for experiment in experiments for column in accuracy_columns(experiment)]
    return Table(
        "table4",
        "Table IV: complexity and accuracy",
        (COUNTING_NOTE, SCALING_NOTE, ACCURACY_NOTE),
        (MODEL, Column("network", "network"), *complexity["sed"], *complexity["ic"], COUNTING_CONVENTION, *accuracies),
        rows,
        (
            *(Section(f"Complexity, {task.upper()}", (MODEL, *columns)) for task, columns in complexity.items()),
            *(accuracy_section(experiment, rows) for experiment in experiments),
        ),
    )


def _complexity_columns(task, shapes):
    columns = [
        Column(f"{task}_mflops_published", "MFLOPs, paper", ".1f"),
        Column(f"{task}_mflops_published_convention", "by the paper's scaling", ".2f"),
        difference_column(f"{task}_mflops_difference"),
    ]
    for shape in map(format_shape, shapes):
        columns.append(Column(f"{task}_mflops_counted_{shape}", f"counted at {shape}", ".2f"))
        columns.append(difference_column(f"{task}_mflops_counted_{shape}_difference", "difference from the paper"))
    return columns
