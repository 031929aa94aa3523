"""What Tables I to IV share: counts next to the paper's, and how their differences look."""

from compactnet.measure import CONVENTION
from compactnet.measure.conventions import ASC_INPUT
from compactnet.networks import CATALOGUE
from compactnet.report import published
from compactnet.report.columns import MODEL, Column, Section, Table, select
from compactnet.report.tables.speed_columns import DEPLOYED, RUNTIME_NAMES, SPEED_NOTE, add_speeds

COUNTING_NOTE = (
    f"FLOPs are counted by the convention *{CONVENTION}*; one MFLOP is 1e6 FLOPs. Parameters are all weights. The "
    "paper prints one decimal of its MFLOPs."
)

PRINTED = 0.05
"""Largest difference of MFLOPs that rounding to the paper's one decimal explains."""

COUNTING_CONVENTION = Column("convention", "convention")


def difference_column(name, heading="difference", format=".2f"):
    """Return the column of a difference of counts, with a style that says whether rounding explains it."""

    def style(row):
        value = row.get(name)
        return "" if value is None else "same" if abs(value) < PRINTED + 1e-9 else "apart"

    return Column(name, heading, format, style)


COLUMNS = (
    MODEL,
    Column("network", "network"),
    Column("params_published", "parameters, paper", "d"),
    Column("params_counted", "counted", "d"),
    difference_column("params_difference", format="d"),
    Column("mflops_published", "MFLOPs, paper", ".1f"),
    Column("mflops_counted", "counted", ".2f"),
    difference_column("mflops_difference"),
    Column("mflops_average_published", "MFLOPs (average), paper", ".1f"),
    Column("mflops_average_counted", "counted", ".2f"),
    difference_column("mflops_average_difference"),
    Column("weight_bytes", "bytes of weights (float32)", "d"),
    Column("peak_activation_bytes", "peak bytes of activations", "d"),
)

SUMMARY = {
    "model": "model",
    "params_published": "parameters, paper",
    "params_counted": "counted",
    "params_difference": "difference",
    "mflops_published": "MFLOPs, paper",
    "mflops_counted": "counted",
    "mflops_difference": "difference",
    "cpu_ratio_published": "times as fast, paper's CPU",
    **{f"{runtime}_cpu_ratio": f"measured, {name}" for runtime, name in RUNTIME_NAMES.items()},
    **{
        f"{runtime}_deployed_{precision}_ratio": f"as deployed, {RUNTIME_NAMES[runtime]}, {precision}"
        for runtime, precision in DEPLOYED
    },
    "gpu_ratio_published": "paper's GPU",
    **{f"{runtime}_gpu_ratio": f"measured on a GPU, {name}" for runtime, name in RUNTIME_NAMES.items()},
    "flops_ratio": "FLOPs ratio",
}
"""Columns of Tables I and II in the results folder's README.md."""


def complexity_table(sources, name, title, remark=""):
    """Return Table I or II: parameters, FLOPs and speed.

    Args:
        sources: The `Sources`.
        name: "table1" or "table2".
        title: The table's title.
        remark: A paragraph of its own.
    """
    paper, counts = published.read(sources.published, name), sources.counts
    operations = ("sum", "max", "average")
    networks = dict.fromkeys(published.network_of(row["model"], one) for row in paper for one in operations)
    counts.prepare([(network, CATALOGUE[network], ASC_INPUT) for network in networks])
    rows = [_row(printed, counts) for printed in paper]
    speeds, speed_sections = add_speeds(rows, sources)
    columns = (*COLUMNS, COUNTING_CONVENTION, *speeds)
    inputs = "Inputs are 128x512x1, with 10 classes and a batch of 1. If the paper prints two numbers of FLOPs, the "
    inputs += "first is for sum and max, the second for average."
    return Table(
        name,
        title,
        tuple(filter(None, (f"{COUNTING_NOTE} {inputs}", remark, SPEED_NOTE))),
        columns,
        rows,
        (Section("Parameters and complexity", COLUMNS), *speed_sections),
        Section(
            "",
            select(columns, SUMMARY),
            f"{title}. Ratios refer to the family's uncompressed network. {remark}".strip(),
        ),
    )


def _row(printed, counts):
    network = published.network_of(printed["model"])
    count = counts.get(network, CATALOGUE[network], ASC_INPUT)
    row = {
        "model": printed["model"],
        "network": network,
        "params_published": printed["params"],
        "params_counted": count.params,
        "params_difference": count.params - printed["params"],
        "mflops_published": printed["mflops_max_or_sum"],
        "mflops_counted": count.mflops,
        "mflops_difference": count.mflops - printed["mflops_max_or_sum"],
        "weight_bytes": count.weight_bytes,
        "peak_activation_bytes": count.peak_activation_bytes,
        "convention": CONVENTION,
    }
    if printed["mflops_average"] is not None:
        average = published.network_of(printed["model"], "average")
        mflops = counts.get(average, CATALOGUE[average], ASC_INPUT).mflops
        row["mflops_average_published"] = printed["mflops_average"]
        row["mflops_average_counted"] = mflops
        row["mflops_average_difference"] = mflops - printed["mflops_average"]
    return row
