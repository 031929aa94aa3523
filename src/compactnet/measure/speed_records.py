"""Speed records: one JSON file for each benchmark, the only source of a speed in a table or figure."""

from pathlib import Path
from types import MappingProxyType

from compactnet.checks import format_shape
from compactnet.files import write_text
from compactnet.measure.conventions import ASC_INPUT
from compactnet.schema import SPEED, SpeedRecord, hash_json
from compactnet.validation import read_json

FAMILIES = MappingProxyType(
    {
        "vgg8": ("xvgg8", "compact_vgg_sum_c2", "compact_vgg_sum_c4", "compact_vgg_sum_c8"),
        "resnet50": ("compact_resnet_sum_c2", "compact_resnet_sum_c4", "compact_resnet_sum_c8"),
        "mobilenet_v1_100": (
            "mobilenet_v1_050",
            "mobilenet_v1_025",
            "compact_mobilenet_sum_c2",
            "compact_mobilenet_sum_c4",
            "compact_mobilenet_sum_c8",
            "mobilenet_v2_100",
            "mobilenet_v2_050",
            "mobilenet_v2_025",
            "shufflenet_v1_200",
            "shufflenet_v1_100",
            "shufflenet_v1_050",
            "shufflenet_v2_200",
            "shufflenet_v2_100",
            "shufflenet_v2_050",
        ),
    }
)
"""{baseline: other networks} of Tables I and II and Fig. 4; speeds are multiples of the baseline's."""


PAPER_WORK = MappingProxyType({"kind": "inference", "input_shape": ASC_INPUT, "batch_size": 1, "threads": 1})
"""What the paper timed: fields of a `Workload`, but for the runtime and the device."""


DISTRIBUTIONS = MappingProxyType({"litert": "ai-edge-litert"})
"""{runtime: its distribution}, where the names differ."""


def write_speed_record(folder, record: SpeedRecord):
    """Write a record; it replaces one of the same networks and the same work on the same machine.

    Args:
        folder: Results folder; the record goes to `records/speed` below it.
        record: What `benchmark` returned.

    Returns:
        The record's path.
    """
    work = record.work
    networks = sorted(timings.network for timings in record.networks)
    machine = [record.environment.processor, record.accelerator]
    key = [work.model_dump(mode="json"), record.loaded_core, *machine, networks]
    state = "" if record.loaded_core is None else "loaded"
    deployed = f"deployed-{work.precision}" if work.deployed else ""
    where = [work.runtime, work.device, deployed, state]
    parts = [work.kind, format_shape(work.input_shape), *where, record.networks[0].network]
    name = "-".join([*filter(None, parts), hash_json(key)[:8]])
    path = Path(folder) / "records" / SPEED / f"{name}.json"
    write_text(path, record.model_dump_json(indent=1) + "\n")
    return path


def read_speed_records(folder):
    """Return the records in `records/speed` of a results folder, oldest first.

    Raises:
        InputError: a file is not such a record.
    """
    paths = sorted((Path(folder) / "records" / SPEED).glob("*.json"))
    records = [read_json(SpeedRecord, path, "Move it away, or run the benchmark again.") for path in paths]
    return sorted(records, key=lambda record: record.finished)


def newest(records, baseline, deployed=False, precision="float32", **work):
    """Return the newest record on an idle machine of a baseline with most of its family, or None.

    Args:
        records: What `read_speed_records` returns.
        baseline: Name of the record's first network.
        deployed: Whether exported files were timed.
        precision: Theirs.
        **work: Fields of its `Workload`.
    """
    found = [
        record
        for record in records
        if record.loaded_core is None
        and (record.work.deployed, record.work.precision) == (deployed, precision)
        and record.networks[0].network == baseline
        and all(getattr(record.work, name) == value for name, value in work.items())
    ]

    def rank(record):
        # A benchmark of a part of a family does not take the place of one of the whole.
        names = {timings.network for timings in record.networks}
        return len(names.intersection(FAMILIES.get(baseline, names))), record.finished

    return max(found, key=rank, default=None)


def describe_machine(record):
    """Return where a record was measured, as text: processor, threads, pinning and versions."""
    work, environment = record.work, record.environment
    where = record.accelerator if work.device == "gpu" else environment.processor
    threads = f"{work.threads} thread{'s' if work.threads > 1 else ''}"
    core = "any core" if work.core is None else f"core {work.core}"
    package = DISTRIBUTIONS.get(work.runtime, work.runtime)
    names = dict.fromkeys([package, "keras"])
    versions = ", ".join(f"{name} {environment.versions.get(name, 'unknown')}" for name in names)
    return f"{where}, {threads}, {core}, {versions}"
