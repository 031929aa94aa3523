"""Speed beside the paper's: the columns of Tables I and II, and a table of everything that was timed."""

import pandas as pd

from compactnet.measure.conventions import ASC_INPUT
from compactnet.measure.runtimes import RUNTIMES
from compactnet.measure.side_by_side import DEVICES
from compactnet.networks import CATALOGUE
from compactnet.report import published
from compactnet.report.markdown import Table
from compactnet.report.speed_records import FAMILIES, machine, newest

RATIO_NOTE = (
    "A ratio is the speed as a multiple of the family's uncompressed network's, from one session on one machine: every "
    "network in its own process, in turns, so that drift meets all alike; its range is that over the rounds. The ratio "
    "of FLOPs is what a machine would reach that does nothing but count FLOPs."
)
SPEED_NOTE = (
    "Speed is samples a second at batch 1, 128x512x1, median and quartiles of the calls; the paper's processor is not "
    "known. Compact networks are timed with the sum, the paper does not tell which it timed. " + RATIO_NOTE
)
_BASES = {network: base for base, others in FAMILIES.items() for network in (base, *others)}

INFERENCE = tuple((device, runtime) for device in DEVICES for runtime in RUNTIMES)
"""Where inference may be timed, in the order of columns and panels."""

NAMES = {
    "tensorflow": "TensorFlow",
    "jax": "JAX",
    "torch": "PyTorch",
    "litert": "LiteRT",
    "onnxruntime": "ONNX Runtime",
}


def base_of(network):
    """Return the uncompressed network that a network of the speed columns is compared with."""
    return _BASES[network]


def speed_columns(rows, sessions, counts, published_folder):
    """Add the speeds of the paper and of every runtime timed to the rows of Table I or II.

    Args:
        rows: The table's rows, each with its "network"; the columns are added in place.
        sessions: What `read_sessions` returns.
        counts: The `Counts`.
        published_folder: Folder with the paper's figures.

    Returns:
        {heading: {column: its heading}} of the sections of the Markdown page.
    """
    paper = printed_speeds(published_folder)
    sections = {}
    for row in rows:
        network, base = row["network"], base_of(row["network"])
        flops = [counts.get(name, CATALOGUE[name], ASC_INPUT).flops for name in (base, network)]
        row["flops_ratio"] = flops[0] / flops[1]
        for device in DEVICES:
            row[f"{device}_samples_per_s_published"] = paper[network][device]
            row[f"{device}_ratio_published"] = paper[network][device] / paper[base][device]
    for device, runtime in INFERENCE:
        by_base = {base: newest(sessions, base, runtime=runtime, device=device) for base in FAMILIES}
        found = [by_base[base_of(row["network"])] for row in rows]
        if not any(found):
            continue
        prefix = f"{runtime}_{device}"
        for row, session in zip(rows, found, strict=True):
            measured = _measured(session, row["network"])
            row |= {f"{prefix}_{name}": value for name, value in measured.items()}
        where = "the processor, one thread" if device == "cpu" else "the graphics processor"
        sections[f"Speed on {where}, {NAMES[runtime]}"] = {
            "model": "model",
            f"{device}_samples_per_s_published": "samples/s, paper",
            f"{prefix}_samples_per_s": "measured",
            f"{prefix}_samples_per_s_quartiles": "quartiles",
            f"{device}_ratio_published": "ratio, paper",
            f"{prefix}_ratio": "measured",
            f"{prefix}_ratio_range": "range",
            "flops_ratio": "of FLOPs",
            f"{prefix}_machine": "where",
        }
    return sections


def _measured(session, network):
    timing = timing_of(session, network)
    if timing is None:
        return dict.fromkeys(("samples_per_s", "samples_per_s_quartiles", "ratio", "ratio_range", "machine"))
    first, middle, third = (session.work.batch_size / seconds for seconds in timing.quartiles)
    ratio, low, high = timing.ratio(session.timings[0])
    return {
        "samples_per_s": middle,
        "samples_per_s_quartiles": f"{third:.2f} to {first:.2f}",
        "ratio": ratio,
        "ratio_range": f"{low:.2f} to {high:.2f}",
        "machine": machine(session),
    }


def timing_of(session, network):
    return next((timing for timing in session.timings if timing.network == network), None) if session else None


def printed_speeds(published_folder):
    """Return {network: {"cpu": samples a second, "gpu": samples a second}} of Tables I and II of the paper."""
    return {
        published.network_of(row["model"]): {device: row[f"{device}_samples_per_s"] for device in DEVICES}
        for table in ("table1", "table2")
        for row in published.read(published_folder, table).to_dict("records")
    }


def speed_tables(published_folder, sessions):
    """Return `speed_inference` and `speed_training`: a row for each network of each session.

    Args:
        published_folder: Folder with the paper's figures.
        sessions: What `read_sessions` returns.

    Returns:
        {name: `Table`}, or None in its place where it has no rows.
    """
    paper = printed_speeds(published_folder)
    tables = {}
    for kind, title, note in (
        (
            "inference",
            "Speed of inference",
            "Every session of inference, also those with a core kept busy on purpose, which no other table takes. The "
            "load is the number of processes that ran or waited in the minute before.",
        ),
        (
            "training",
            "Speed of training steps",
            "A training step is forward, backward and Adam on one batch. Peak memory is what the process held at most "
            "above what it held before the network was built (on a GPU: the most memory held there).",
        ),
    ):
        name = f"speed_{kind}"
        rows = [
            _row(session, timing, paper)
            for session in sessions
            if session.work.kind == kind
            for timing in session.timings
        ]
        tables[name] = None
        if rows:
            frame = pd.DataFrame(rows).astype({"core_kept_busy": "Int64", "load_before": float})
            tables[name] = Table(name, title, [f"{note} {RATIO_NOTE}"], frame)
    return tables


def _row(session, timing, paper):
    work, base = session.work, session.timings[0]
    first, middle, third = timing.quartiles
    ratio, low, high = timing.ratio(base)
    printed = None
    if work.kind == "inference" and {base.network, timing.network} <= paper.keys():
        printed = paper[timing.network][work.device] / paper[base.network][work.device]
    memory = {}
    if work.kind == "training":
        memory["peak_memory_MB"] = timing.peak_bytes / 1e6 if timing.peak_bytes else None
    return {
        "network": timing.network,
        "runtime": work.runtime,
        "device": work.device,
        "input": "x".join(map(str, work.input_shape)),
        "batch_size": work.batch_size,
        "milliseconds_median": 1e3 * middle,
        "first_quartile": 1e3 * first,
        "third_quartile": 1e3 * third,
        "samples_per_s": work.batch_size / middle,
        "compared_with": base.network,
        "ratio": ratio,
        "ratio_least": low,
        "ratio_most": high,
        "ratio_of_flops": base.flops / timing.flops,
        "ratio_of_the_paper": printed,
        **(
            {"peak_memory_MB": timing.peak_bytes / 1e6 if timing.peak_bytes else None}
            if work.kind == "training"
            else {}
        ),
        "rounds": timing.seconds.shape[0],
        "calls_a_round": timing.seconds.shape[1],
        "core_kept_busy": session.loaded_core,
        "load_before": session.load_before,
        "machine": machine(session),
        "commit": (session.environment.get("commit") or "")[:12],
        "finished": session.finished,
    }
