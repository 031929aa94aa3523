"""All benchmarks of training steps."""

from compactnet.report.sources import Sources
from compactnet.report.tables.speed_rows import speed_table


def speed_training(sources: Sources):
    """Return the table of all benchmarks of training steps."""
    return speed_table(
        sources,
        "training",
        "Speed of training steps",
        "A training step is a forward pass, a backward pass and an update by Adam, on one batch. Peak memory is that "
        "of the process, above what it held before the network was built (on a GPU: peak memory of the GPU).",
    )
