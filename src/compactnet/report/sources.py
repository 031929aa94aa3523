"""What tables, figures and the page are made of: published values, counts and records."""

from dataclasses import dataclass
from pathlib import Path

from compactnet.experiments.config import load_shipped
from compactnet.experiments.records import read_failures, read_records
from compactnet.measure.counts import CountCache
from compactnet.measure.feature_maps import FeatureMaps, read_feature_maps
from compactnet.measure.speed_records import read_speed_records
from compactnet.schema import RunRecord


@dataclass(frozen=True)
class Sources:
    """What tables are made of.

    Attributes:
        published: Folder with the paper's values.
        counts: The `CountCache`.
        experiments: The `Experiment`s, by name.
        planned: {`Run.key`: the `Run`} of all experiments.
        members: {experiment: its `RunRecord`s}: those that follow its protocol, one for each planned run.
        others: All other `RunRecord`s.
        failures: {experiment: the `FailureRecord`s of planned runs without a record}.
        speed_records: `SpeedRecord`s, oldest first.
        feature_maps: The `FeatureMaps`, or None.
        list_unstarted: Whether tables list what has no runs yet.
    """

    published: Path
    counts: CountCache
    experiments: tuple
    planned: dict
    members: dict
    others: list
    failures: dict
    speed_records: list
    feature_maps: FeatureMaps | None
    list_unstarted: bool = False

    @property
    def real(self):
        """The experiments on real data."""
        return [experiment for experiment in self.experiments if not experiment.data.generated]

    def records_of(self, experiment, network):
        """Return the records of a network that follow an experiment's protocol, by their names."""
        return [record for record in self.members.get(experiment, ()) if record.run.network.name == network]

    def of_table(self, table):
        """Return the experiments that reproduce one of the paper's tables."""
        return [experiment for experiment in self.experiments if experiment.table == table]


def read_sources(results_folder, experiments, published_folder, counts: CountCache, list_unstarted=False):
    """Return the `Sources` of a results folder.

    Args:
        results_folder: Folder with `records/`.
        experiments: The `Experiment`s whose protocols decide which record belongs to which table.
        published_folder: Folder with the paper's values.
        counts: Where counts come from.
        list_unstarted: Whether tables list what has no runs yet.

    Raises:
        InputError: a record is damaged.
    """
    folder = Path(results_folder)
    experiments = tuple(sorted(experiments, key=lambda experiment: experiment.name))
    planned = {run.key: run for experiment in experiments for run in experiment.runs()}
    members, others = sort_records(read_records(folder / "records"), planned)
    failures, _ = sort_records(read_failures(folder / "failures"), planned)
    # A run may have the record of another experiment.
    done = {(name, *record.run.key[1:]) for name, records in members.items() for record in records}
    return Sources(
        Path(published_folder),
        counts,
        experiments,
        planned,
        members,
        others,
        {name: [one for one in failed if one.run.key not in done] for name, failed in failures.items()},
        read_speed_records(folder),
        read_feature_maps(folder / "records"),
        list_unstarted,
    )


def repository_sources(root, results_folder, experiments=None, recount=False):
    """Return the `Sources` of a results folder with the repository's counts and published values.

    What has no runs yet is listed in the repository's own `results/`, and not in another folder.

    Args:
        root: The repository's root.
        results_folder: Folder with `records/`.
        experiments: The `Experiment`s; left out, those in `configs/`.
        recount: Whether to count every network again.

    Raises:
        InputError: a record, a config or the file of counts is damaged.
    """
    results = root / "results"
    experiments = load_shipped(root / "configs") if experiments is None else experiments
    counts = CountCache(results / "complexity.csv", recount=recount)
    is_own = Path(results_folder).resolve() == results.resolve()
    return read_sources(results_folder, experiments, results / "paper", counts, list_unstarted=is_own)


def sort_records(records, planned):
    """Separate the records that follow an experiment's protocol from all others.

    Args:
        records: `RunRecord`s or `FailureRecord`s.
        planned: {`Run.key`: the `Run`}.

    Returns:
        ({experiment: its records}, the others). If a run has two records, from different backends or thread counts,
        the one finished last is the experiment's; the other is dropped. A run without a record has that of the same
        run in another experiment, on official data. Where no data are official, the data of the record finished last
        are the experiment's, and records of other data are among the others.
    """
    members, others = {run.experiment: {} for run in planned.values()}, []
    records = sorted(records, key=lambda record: record.finished)
    shared = _shared(records, planned)
    for record, run in shared:
        members[run.experiment][run.key] = record
    elsewhere = {id(record) for record, _ in shared}
    newest = {
        _place(record): record.fingerprint
        for record in records
        if isinstance(record, RunRecord) and _follows(record, planned.get(record.run.key))
    }
    for record in records:
        if _follows(record, planned.get(record.run.key)) and _on_these_data(record, newest):
            members[record.run.experiment][record.run.key] = record
        elif id(record) not in elsewhere:
            others.append(record)
    return {name: list(by_key.values()) for name, by_key in members.items()}, others


def _shared(records, planned):
    """Return the pairs (record, planned run) of runs with the same protocol in another experiment, on official data."""
    alike = {}
    for run in planned.values():
        if run.data.official_fingerprint:
            alike.setdefault(run.key[1:], []).append(run)
    return [
        (record, run)
        for record in records
        if isinstance(record, RunRecord)
        for run in alike.get(record.run.key[1:], ())
        if run.experiment != record.run.experiment and _follows(record, run)
    ]


def _place(record):
    return record.run.experiment, record.run.data.fold_name


def _on_these_data(record, fingerprints):
    """Say whether a record's data are official or, where none are, those of the fingerprint for its experiment."""
    if not isinstance(record, RunRecord) or record.run.data.official_fingerprint:
        return True
    return record.fingerprint == fingerprints[_place(record)]


def _follows(record, planned):
    """Say whether a record's run is the planned one; backend and threads may differ."""
    if planned is None or record.run.budget != planned.budget:
        return False
    return not isinstance(record, RunRecord) or record.fingerprint.startswith(planned.data.official_fingerprint)
