"""A table for each experiment: ablations, and networks that the paper's tables lack."""

from compactnet.checks import format_shape
from compactnet.measure import CONVENTION
from compactnet.report import published
from compactnet.report.columns import Column, Table
from compactnet.report.sources import Sources
from compactnet.report.tables.accuracy_columns import runs_done, samples_used
from compactnet.report.tables.image_sizes import EXPERIMENTS as SIZES
from compactnet.report.tables.rivals import EXPERIMENTS as RIVALS
from compactnet.report.tables.run_rows import ACCURACIES, ACCURACIES_NOTE, accuracy_row, minutes_per_run

COLUMNS = (
    Column("network", "network"),
    Column("model", "model"),
    Column("parameters", "parameters", "d"),
    Column("mflops", "MFLOPs", ".2f"),
    *ACCURACIES,
    Column("runs_done", "done"),
    Column("minutes_a_run", "minutes per run", ".2f"),
)


def experiment_runs(sources: Sources):
    """Return a table for each experiment on real data, but for those of the tables `rivals` and `image_sizes`.

    Ablations show all their networks, experiments of the paper those that its table lacks and that have runs.
    """
    return [_table(experiment, sources) for experiment in sources.real if experiment.name not in (*RIVALS, *SIZES)]


def _table(experiment, sources):
    name, data = experiment.name, experiment.data
    in_paper = published.networks(sources.published, experiment.table) if experiment.table else ()
    # An ablation lists all its networks, once it is started.
    all_networks = experiment.table is None and (sources.list_unstarted or sources.members[name])
    networks = [
        network
        for network in experiment.networks
        if network.name not in in_paper and (all_networks or sources.records_of(name, network.name))
    ]
    shape = data.network_input_shape
    sources.counts.prepare([(network.name, network, shape, data.classes) for network in networks])
    rows = []
    for network in networks:
        count = sources.counts.get(network.name, network, shape, data.classes)
        records = sources.records_of(name, network.name)
        row = {
            "network": network.name,
            "model": network.title,
            "parameters": count.params,
            "mflops": count.mflops,
            "runs_done": runs_done(experiment, network.name, sources),
        }
        if records:
            row |= accuracy_row(records) | {"samples": samples_used(records), "minutes_a_run": minutes_per_run(records)}
        rows.append(row)
    note = (
        f"Parameters and MFLOPs are counted with {format_shape(shape)} inputs and {data.classes} classes by the "
        f"convention *{CONVENTION}*. "
        f"Accuracies are test accuracies of runs that follow the config, {experiment.training.epochs} epochs each; "
        "*done* counts these runs, of those planned. The table has no values of the paper."
    )
    columns = (*COLUMNS, Column("samples", data.unit))
    notes = (*filter(None, [experiment.note]), note, ACCURACIES_NOTE)
    return Table(f"experiment_{name}", f"Experiment {name}: {data.description}", notes, columns, rows)
