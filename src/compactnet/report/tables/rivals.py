"""The compact convolution and other convolutions that squeeze channels, at equal FLOPs."""

from collections import Counter
from types import MappingProxyType

from compactnet.measure import CONVENTION
from compactnet.measure.speed_records import newest
from compactnet.report.columns import Column, Section, Table
from compactnet.report.comparison import accuracy, difference
from compactnet.report.sources import Sources
from compactnet.report.tables.accuracy_columns import repeated, samples_used
from compactnet.report.tables.run_rows import runs_by_epochs

EXPERIMENTS = ("rivals-ic", "rivals-sed")
RUNTIMES = MappingProxyType({"tensorflow": "TensorFlow", "litert": "LiteRT", "onnxruntime": "ONNX Runtime"})
STEP = "training_step_ms"

EVIDENCE = {"records", "training_record", *(f"{runtime}_record" for runtime in RUNTIMES)}
"""Keys of the records in a row."""

EXPERIMENT = Column("experiment", "experiment")
MODEL = Column("model", "network")
DIFFERENCE = (
    Column("difference", "difference from the first", ".2f"),
    Column("difference_low", "from", ".2f"),
    Column("difference_high", "to", ".2f"),
)
ACCURACY = (
    Column("epochs", "epochs", "d"),
    Column("runs", "runs", "d"),
    Column("accuracy_percent", "accuracy, %", ".2f", link="records"),
    Column("std", "std", ".2f"),
    *DIFFERENCE,
)
SIZE = (
    Column("parameters", "parameters", "d"),
    Column("mflops", "MFLOPs", ".2f"),
    Column("peak_activations_kb", "peak activations, kB", ".0f"),
)
TIMES = (
    *(Column(f"{runtime}_ms", f"{title}, ms", ".3f", link=f"{runtime}_record") for runtime, title in RUNTIMES.items()),
    Column(STEP, "training step, ms", ".1f", link="training_record"),
)
COLUMNS = (
    EXPERIMENT,
    Column("network", "name"),
    MODEL,
    *SIZE,
    *TIMES,
    *ACCURACY,
    Column("samples", "samples"),
    Column("processor", "processor of the times"),
)
NOTE = (
    "Networks with the FLOPs of the first on each skeleton: narrower, where their convolution is dearer. Parameters, "
    f"MFLOPs (*{CONVENTION}*) and peak activations of one sample are counted. Times are medians of one sample on one "
    "processor thread after a plain conversion, and of a training step of 32 samples on all threads of TensorFlow; "
    "they are comparable within a column. Accuracies are test accuracies after the last epoch, of runs on all data "
    "that follow the config but for *epochs*: for all networks of a skeleton the number that most of them were trained "
    "for, the largest one of equals. The difference from the first network has a 95 % confidence interval by Welch."
)


def rivals(sources: Sources):
    """Return the table of the experiments that compare kinds of convolution at equal FLOPs, once one has a record."""
    experiments = [experiment for experiment in sources.experiments if experiment.name in EXPERIMENTS]
    rows = [row for experiment in experiments for row in _rows(experiment, sources)]
    if not sources.list_unstarted and not any(row.keys() & EVIDENCE for row in rows):
        rows = []
    shown = Section("", (EXPERIMENT, MODEL, *SIZE, *TIMES, *ACCURACY))
    return Table("rivals", "Kinds of convolution at equal FLOPs", (NOTE,), COLUMNS, rows, (shown,))


def _rows(experiment, sources):
    shape = experiment.data.network_input_shape
    sources.counts.prepare([(network.name, network, shape) for network in experiment.networks])
    first = {}
    trained = {network.name: runs_by_epochs(experiment, network.name, sources) for network in experiment.networks}
    for network in experiment.networks:
        baseline = first.setdefault(network.skeleton.kind, network)
        count = sources.counts.get(network.name, network, shape)
        row = {
            "experiment": experiment.name,
            "network": network.name,
            "skeleton": network.title.partition(", ")[0],
            "model": network.title,
            "parameters": count.params,
            "mflops": count.mflops,
            "peak_activations_kb": count.peak_activation_bytes / 1e3,
        }
        row |= _times(experiment, baseline.name, network.name, sources)
        of_skeleton = [trained[one.name] for one in experiment.networks if one.skeleton.kind == network.skeleton.kind]
        counts = Counter(epochs for found in of_skeleton for epochs in found)
        epochs = max(counts, key=lambda epochs: (counts[epochs], epochs), default=None)
        yield row | _accuracy(experiment, *(trained[one].get(epochs, []) for one in (baseline.name, network.name)))


def _times(experiment, baseline, network, sources):
    shape = experiment.data.network_input_shape
    works = {runtime: {"kind": "inference", "runtime": runtime, "threads": 1, "batch_size": 1} for runtime in RUNTIMES}
    works["training"] = {"kind": "training", "runtime": "tensorflow"}
    values, processors = {}, set()
    for name, work in works.items():
        record = newest(sources.speed_records, baseline, device="cpu", input_shape=shape, **work)
        timings = record and record.timings(network)
        if timings:
            values[STEP if name == "training" else f"{name}_ms"] = 1e3 * timings.quartiles[1]
            values[f"{name}_record"] = record
            processors.add(record.environment.processor)
    return values | ({"processor": "; ".join(sorted(processors))} if processors else {})


def _accuracy(experiment, first, records):
    """Return the values of a network from its records, and those of the first network of its skeleton."""
    if not records:
        return {}
    ours = accuracy(records)
    values = {
        "epochs": records[0].run.training.epochs,
        "runs": ours.runs,
        "accuracy_percent": ours.mean,
        "std": ours.std,
        "samples": samples_used(records),
        "records": records,
    }
    if first and first is not records:
        apart = difference(repeated(experiment, ours), accuracy(first))
        values |= {"difference": apart.value, "difference_low": apart.low, "difference_high": apart.high}
    return values
