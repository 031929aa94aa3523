"""One row for each network of each experiment on real data, for programs that read the results."""

from compactnet.measure.speed_records import PAPER_WORK, newest
from compactnet.report.columns import Column, Table
from compactnet.report.comparison import CONFIDENCE, accuracy, combination
from compactnet.report.sources import Sources
from compactnet.report.tables.accuracy_columns import repeated, samples_used
from compactnet.report.tables.speed_columns import BASELINES
from compactnet.schema import hash_json

NOTE = (
    "All experiments on real data, a row for each network; `results.csv` is for programs. Accuracies are test "
    "accuracies in percent after the last epoch, of runs that follow the config: mean, standard deviation and "
    f"{100 * CONFIDENCE:.0f} % interval of the mean by Student; runs on several folds have none. Parameters "
    "and FLOPs are counted with the inputs and the classes of the data. "
    "Speed is that of the network of this name in Table I: samples per second with TensorFlow on one processor thread, "
    "at 128x512x1. The hash is the same as long as the records are."
)
COLUMNS = (
    Column("experiment", "experiment"),
    Column("task", "task"),
    Column("network", "network"),
    Column("model", "model"),
    Column("accuracy_percent", "accuracy, %", ".2f", link="records"),
    Column("std", "std", ".2f"),
    Column("low", "from", ".2f"),
    Column("high", "to", ".2f"),
    Column("runs", "runs", "d"),
    Column("planned", "planned", "d"),
    Column("epochs", "epochs", "d"),
    Column("samples", "samples"),
    Column("parameters", "parameters", "d"),
    Column("mflops", "MFLOPs", ".2f"),
    Column("samples_per_s", "samples/s", ".2f", link="speed_record"),
    Column("records_sha256", "hash of the records"),
)


def results(sources: Sources):
    """Return the table of all networks, where tables list what has no runs yet; else of those with runs."""
    rows = [
        _row(experiment, network, sources)
        for experiment in sources.real
        for network in experiment.networks
        if sources.list_unstarted or sources.records_of(experiment.name, network.name)
    ]
    return Table("results", "All networks of all experiments", (NOTE,), COLUMNS, rows, on_page=False)


def _row(experiment, network, sources):
    shape = experiment.data.network_input_shape
    count = sources.counts.get(network.name, network, shape, experiment.data.classes)
    records = sources.records_of(experiment.name, network.name)
    row = {
        "experiment": experiment.name,
        "task": experiment.data.paper_task,
        "network": network.name,
        "model": network.title,
        "runs": len(records),
        "planned": len(experiment.runs([network.name])),
        "epochs": experiment.training.epochs,
        "parameters": count.params,
        "mflops": count.mflops,
    }
    baseline = BASELINES.get(network.name)
    speed = baseline and newest(sources.speed_records, baseline, device="cpu", runtime="tensorflow", **PAPER_WORK)
    timings = speed and speed.timings(network.name)
    if timings:
        row |= {"samples_per_s": 1 / timings.quartiles[1], "speed_record": speed}
    if records:
        ours = accuracy(records)
        mean = combination([(1.0, repeated(experiment, ours))])
        row |= {
            "accuracy_percent": ours.mean,
            "std": ours.std,
            "low": mean.low,
            "high": mean.high,
            "samples": samples_used(records),
            "records_sha256": hash_json(sorted(record.model_dump_json(exclude_defaults=True) for record in records)),
            "records": records,
        }
    return row
