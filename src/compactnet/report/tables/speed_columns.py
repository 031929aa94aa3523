"""What tables and figures of speed share: the runtimes, the baselines, and the speed columns of Tables I and II."""

from types import MappingProxyType

from compactnet.measure.benchmark import DEVICES
from compactnet.measure.conventions import ASC_INPUT
from compactnet.measure.runtimes import RUNTIMES
from compactnet.measure.speed_records import FAMILIES, PAPER_WORK, describe_machine, newest
from compactnet.networks import CATALOGUE
from compactnet.processes import BACKENDS
from compactnet.report import published
from compactnet.report.columns import MODEL, Column, Section

RATIO_NOTE = (
    "A speed ratio says how many times as fast a network is as the uncompressed network of its family, timed in the "
    "same benchmark on the same machine, in turns, so that drift affects all alike: networks as built each in a "
    "process of its own, exported files together in one. The ratio is the median over the rounds of the ratio in "
    "each round, not the quotient of the two medians shown; its range is over the rounds. A benchmark of one round has "
    "no range, and drift is in its ratios. The ratio of FLOPs is the "
    "speed ratio of a machine whose time depends on FLOPs alone."
)
SPEED_NOTE = (
    "Speed is in samples per second with a batch of 1 and 128x512x1 inputs: median and quartiles of the calls. The "
    "paper used an Intel Xeon E5-2650 v4 and an Nvidia RTX 2080 Ti (Sec. V-A). We time compact networks with the sum; "
    "the paper does not say which operation it timed. *As deployed* is the folded network in an exported file, with "
    "the interchannel operation in the form that was fastest in that runtime (docs/deploy.md). Networks as built and "
    "as deployed are timed in different benchmarks, perhaps on different machines: compare ratios within a column. "
    + RATIO_NOTE
)

DEPLOYED = tuple(
    (runtime, precision)
    for runtime in ("tensorflow", "litert", "onnxruntime", "openvino")
    for precision in ("float32", "int8")
    if runtime != "tensorflow" or precision == "float32"
)
"""Runtimes and precisions of exported files that may be timed, in the order of columns."""

INFERENCE = tuple(
    (device, runtime) for device in DEVICES for runtime in RUNTIMES if device == "cpu" or runtime in BACKENDS
)
"""Where inference may be timed, in the order of columns and panels."""

RUNTIME_NAMES = MappingProxyType(
    {
        "tensorflow": "TensorFlow",
        "jax": "JAX",
        "torch": "PyTorch",
        "litert": "LiteRT",
        "onnxruntime": "ONNX Runtime",
        "openvino": "OpenVINO",
    }
)

BASELINES = MappingProxyType({name: first for first, others in FAMILIES.items() for name in (first, *others)})
"""{network: the uncompressed network of its family}"""


def add_speeds(rows, sources):
    """Add the paper's speeds, and those of every runtime that was timed, to rows of Table I or II.

    Args:
        rows: The rows, each with its "network"; they are changed in place.
        sources: The `Sources`.

    Returns:
        (the `Column`s that were added, a `Section` for each runtime and device that was timed)
    """
    printed = published.published_speeds(sources.published)
    for row in rows:
        network, baseline = row["network"], BASELINES[row["network"]]
        flops = [sources.counts.get(name, CATALOGUE[name], ASC_INPUT).flops for name in (baseline, network)]
        row["flops_ratio"] = flops[0] / flops[1]
        for device in DEVICES:
            row[f"{device}_samples_per_s_published"] = printed[network][device]
            row[f"{device}_ratio_published"] = printed[network][device] / printed[baseline][device]
    flops_ratio = Column("flops_ratio", "of FLOPs", ".2f")
    paper = {
        device: (
            Column(f"{device}_samples_per_s_published", "samples/s, paper", ".2f"),
            Column(f"{device}_ratio_published", "ratio, paper", ".2f"),
        )
        for device in DEVICES
    }
    columns, sections = [flops_ratio, *(column for pair in paper.values() for column in pair)], []
    where = {"cpu": "CPU, one thread", "gpu": "GPU"}
    built = [
        (f"Speed on the {where[device]}, {RUNTIME_NAMES[runtime]}", f"{runtime}_{device}", device, {"runtime": runtime})
        for device, runtime in INFERENCE
    ]
    deployed = [
        (
            f"Speed as deployed on the {where['cpu']}, {RUNTIME_NAMES[runtime]}, {precision}",
            f"{runtime}_deployed_{precision}",
            "cpu",
            {"runtime": runtime, "deployed": True, "precision": precision},
        )
        for runtime, precision in DEPLOYED
    ]
    for title, prefix, device, work in (*built, *deployed):
        records = {
            baseline: newest(sources.speed_records, baseline, device=device, **work, **PAPER_WORK)
            for baseline in FAMILIES
        }
        if not any(records[BASELINES[row["network"]]] for row in rows):
            continue
        for row in rows:
            measured = _measured(records[BASELINES[row["network"]]], row["network"])
            row |= {f"{prefix}_{name}": value for name, value in measured.items()}
        speed, quartiles, ratio, ratio_range, machine = added = (
            Column(f"{prefix}_samples_per_s", "measured", ".2f", link=f"{prefix}_record"),
            Column(f"{prefix}_samples_per_s_quartiles", "quartiles"),
            Column(f"{prefix}_ratio", "measured", ".2f"),
            Column(f"{prefix}_ratio_range", "range"),
            Column(f"{prefix}_machine", "machine"),
        )
        paper_speed, paper_ratio = paper[device]
        shown = (MODEL, paper_speed, speed, quartiles, paper_ratio, ratio, ratio_range, flops_ratio, machine)
        if work.get("deployed"):
            form = Column(f"{prefix}_interchannel", "interchannel operation as")
            added, shown = (*added, form), (*shown[:-1], form, machine)
        columns += added
        sections.append(Section(title, shown))
    return columns, sections


def _measured(record, network):
    timings = record and record.timings(network)
    if not timings:
        return {}
    first, median, third = (record.work.batch_size / seconds for seconds in timings.quartiles)
    ratio, low, high = timings.speedup(record.networks[0])
    return {
        "samples_per_s": median,
        "samples_per_s_quartiles": f"{third:.2f} to {first:.2f}",
        "ratio": ratio,
        "ratio_range": f"{low:.2f} to {high:.2f}",
        "machine": describe_machine(record),
        "interchannel": timings.interchannel,
        "record": record,
    }
