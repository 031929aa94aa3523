"""What the tables of all benchmarks share: a row for each network of each speed record."""

from compactnet.checks import format_shape
from compactnet.measure.speed_records import describe_machine
from compactnet.report import published
from compactnet.report.columns import Column, Table
from compactnet.report.tables.speed_columns import RATIO_NOTE

MEMORY = Column("peak_memory_MB", "peak memory, MB", ".2f")
COLUMNS = (
    Column("network", "network"),
    Column("runtime", "runtime"),
    Column("device", "device"),
    Column("precision", "exported file"),
    Column("interchannel", "interchannel operation as"),
    Column("input", "input"),
    Column("batch_size", "batch size", "d"),
    Column("milliseconds_median", "median, ms", ".2f"),
    Column("first_quartile", "first quartile", ".2f"),
    Column("third_quartile", "third quartile", ".2f"),
    Column("samples_per_s", "samples/s", ".2f", link="record"),
    Column("compared_with", "compared with"),
    Column("ratio", "ratio", ".2f"),
    Column("ratio_least", "minimum", ".2f"),
    Column("ratio_most", "maximum", ".2f"),
    Column("ratio_of_flops", "ratio of FLOPs", ".2f"),
    Column("ratio_of_the_paper", "ratio, paper", ".2f"),
    MEMORY,
    Column("rounds", "rounds", "d"),
    Column("calls_a_round", "calls per round", "d"),
    Column("core_kept_busy", "core kept busy", "d"),
    Column("load_before", "load before", ".2f"),
    Column("machine", "machine"),
    Column("commit", "commit"),
    Column("finished", "finished"),
)


def speed_table(sources, kind, title, note):
    """Return the `Table` of all speed records of a kind, "inference" or "training"."""
    paper = published.published_speeds(sources.published)
    rows = [
        _row(record, timings, paper)
        for record in sources.speed_records
        if record.work.kind == kind
        for timings in record.networks
    ]
    hidden = ("precision", "interchannel") if kind == "training" else (MEMORY.name,)
    columns = tuple(column for column in COLUMNS if column.name not in hidden)
    return Table(f"speed_{kind}", title, (f"{note} {RATIO_NOTE}",), columns, rows)


def _row(record, timings, paper):
    work, baseline = record.work, record.networks[0]
    first, median, third = timings.quartiles
    ratio, low, high = timings.speedup(baseline)
    return {
        "network": timings.network,
        "runtime": work.runtime,
        "device": work.device,
        "precision": work.precision if work.deployed else None,
        "interchannel": timings.interchannel,
        "input": format_shape(work.input_shape),
        "batch_size": work.batch_size,
        "milliseconds_median": 1e3 * median,
        "first_quartile": 1e3 * first,
        "third_quartile": 1e3 * third,
        "samples_per_s": work.batch_size / median,
        "compared_with": baseline.network,
        "ratio": ratio,
        "ratio_least": low,
        "ratio_most": high,
        "ratio_of_flops": baseline.flops / timings.flops,
        "ratio_of_the_paper": published.published_speedup(paper, record, timings),
        "peak_memory_MB": timings.peak_bytes / 1e6 if timings.peak_bytes else None,
        "rounds": len(timings.seconds),
        "calls_a_round": len(timings.seconds[0]),
        "core_kept_busy": record.loaded_core,
        "load_before": record.load_before,
        "machine": describe_machine(record),
        "commit": (record.environment.commit or "")[:12],
        "finished": record.finished,
        "record": record,
    }
