"""All benchmarks of inference."""

from compactnet.report.sources import Sources
from compactnet.report.tables.speed_rows import speed_table


def speed_inference(sources: Sources):
    """Return the table of all benchmarks of inference, those with a core kept busy included."""
    return speed_table(
        sources,
        "inference",
        "Speed of inference",
        "All benchmarks of inference. Those with a core kept busy on purpose are in no other table. The load is the "
        "number of processes that ran or waited in the minute before.",
    )
