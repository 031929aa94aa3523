"""A study: the cells (network x seed) of a config, and the protocol that says what decides a cell's outcome."""

import dataclasses
import hashlib
import json
import os
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from compactnet.errors import InputError
from compactnet.experiments.config import DataConfig, StudyConfig
from compactnet.networks import NetworkSpec, build, find

EXECUTION = ("backend", "threads")
"""Protocol fields that decide bits but no budget: a table takes records whatever these are."""


@dataclass(frozen=True)
class Cell:
    """One network with one seed.

    Attributes:
        study: Name of the study.
        network: Name of the network in the study.
        spec: Its `NetworkSpec`.
        seed: The seed.
        data: Its section of data: the study's, or one with a single fold to test on.
        protocol: What decides the outcome, as plain JSON data.
    """

    study: str
    network: str
    spec: NetworkSpec
    seed: int
    data: DataConfig
    protocol: dict

    @property
    def protocol_hash(self):
        """Hexadecimal hash of the protocol; a cell is skipped only when its record carries the same one."""
        return hash_of(self.protocol)

    @property
    def record_name(self):
        """Path of the record below the folder of records."""
        return (
            f"{self.study}/{self.network}{self.part and f'-{self.part}'}-seed{self.seed}-{self.protocol_hash[:12]}.json"
        )

    @property
    def part(self):
        """Which split of the data it is, for names: "fold10", or nothing where a data set has but one."""
        return "".join(f"fold{fold}" for fold in folds_of(self.protocol))

    @property
    def key(self):
        """What tells it from the other cells of all studies; `key_of` gives the same for its record."""
        return self.study, self.network, self.seed, folds_of(self.protocol)

    @property
    def title(self):
        """What progress bars and messages call it."""
        return " ".join(filter(None, [self.network, self.part, f"seed {self.seed}"]))


def folds_of(protocol):
    """Return the folds tested on, of a protocol whose data set is split in several ways, as a tuple."""
    return tuple(protocol["data"].get("test_folds", ()))


def key_of(record):
    """Return what tells a record's cell from the others."""
    return record["study"], record["network"], record["seed"], folds_of(record["protocol"])


def hash_of(protocol):
    """Return the hash of a protocol: of its JSON text with sorted keys."""
    return hashlib.sha256(json.dumps(protocol, sort_keys=True).encode()).hexdigest()


def network_specs(config: StudyConfig):
    """Return {name: NetworkSpec} for the networks of a config, in its order.

    Raises:
        InputError: an unknown network, or a field that its skeleton or convolution does not have.
    """
    for kind in config.skeletons:
        if kind not in _kinds("skeleton"):
            raise InputError(f"skeletons: unknown skeleton {kind!r}. Known: {', '.join(_kinds('skeleton'))}.")
    return dict(_network_spec(entry, config.skeletons) for entry in config.networks)


def cells(config: StudyConfig, fingerprint, only=None, seeds=None):
    """Return the cells of a config, all networks of the first seed first, so that whole columns fill early.

    Args:
        config: The `StudyConfig`.
        fingerprint: Fingerprint of the data; where the data are not at hand, its beginning.
        only: Names of networks to keep, or None for all.
        seeds: How many of the config's seeds to use, from the first on, or None for all.

    Raises:
        InputError: a name that the study does not hold, or more seeds than it has.
    """
    specs = network_specs(config)
    for name in only or ():
        if name not in specs:
            known = ", ".join(specs)
            raise InputError(f"--only: the study {config.name!r} has no network {name!r}. Its networks: {known}.")
    if seeds is not None and not 1 <= seeds <= len(config.seeds):
        raise InputError(
            f"--seeds takes a number from 1 to {len(config.seeds)}, the seeds of the config. Received: {seeds}"
        )
    return [
        Cell(config.name, name, spec, seed, data, _protocol(config, spec, seed, data, fingerprint))
        for seed in config.seeds[:seeds]
        for data in config.data.parts()
        for name, spec in specs.items()
        if only is None or name in only
    ]


def build_network(config: StudyConfig, spec: NetworkSpec, name=None):
    """Return the untrained model of a study's network, for the study's data."""
    return build(
        spec,
        input_shape=config.data.sample_shape,
        classes=config.data.classes,
        resize_to=config.data.resize_to,
        name=name,
    )


def same_budget(protocol, planned):
    """Say whether a record's protocol is what a config plans, leaving aside how and where it was run.

    Args:
        protocol: The record's.
        planned: The cell's; its fingerprint may be the beginning of one.
    """

    def budget(fields):
        data = {key: value for key, value in fields["data"].items() if key != "fingerprint"}
        return {**{key: value for key, value in fields.items() if key not in EXECUTION}, "data": data}

    fingerprints = [fields["data"]["fingerprint"] for fields in (protocol, planned)]
    return budget(protocol) == budget(planned) and fingerprints[0].startswith(fingerprints[1])


def backend():
    """Name of the Keras backend that runs use: KERAS_BACKEND, or TensorFlow."""
    return os.environ.get("KERAS_BACKEND") or "tensorflow"


def plain(value):
    """Return a dataclass as plain data, without the title, which decides nothing."""
    fields = dataclasses.asdict(value)
    fields.pop("title", None)
    return fields


def _protocol(config, spec, seed, data, fingerprint):
    return {
        "network": plain(spec),
        "seed": seed,
        "data": {**data.protocol(), "fingerprint": fingerprint},
        "training": config.training.model_dump(mode="json"),
        "backend": backend(),
        "threads": config.threads,
    }


def _network_spec(entry, skeletons):
    spec = find(entry.base)
    changed = entry.skeleton or entry.convolution
    fields = dataclasses.asdict(spec)
    skeleton = {**fields["skeleton"], **skeletons.get(spec.skeleton.kind, {}), **entry.skeleton}
    convolution = {**fields["convolution"], **entry.convolution}
    if convolution["kind"] != fields["convolution"]["kind"]:
        convolution = dict(entry.convolution)
    try:
        return entry.name, NetworkSpec(
            entry.title or (entry.name if changed else spec.title),
            _as_member("skeleton", skeleton),
            _as_member("convolution", convolution),
        )
    except ValidationError as error:
        problem = error.errors()[0]
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] != "value_error":
            where = ".".join(str(part) for part in problem["loc"])
            message = f"{where}: {message}. Received: {problem['input']!r}"
        raise InputError(f"network {entry.name!r}: {message}") from error
    except ValueError as error:
        raise InputError(f"network {entry.name!r}: {error}") from error


def _kinds(field):
    """Return {kind: dataclass} of the union that a field of `NetworkSpec` takes."""
    return {member.kind: member for member in NetworkSpec.__annotations__[field].__args__}


def _as_member(field, values):
    """Return the dataclass of a union that `values["kind"]` names, made from `values`."""
    members = _kinds(field)
    if not isinstance(values.get("kind"), str) or values["kind"] not in members:
        raise ValueError(f"{field}.kind must be one of {', '.join(members)}. Received: {values.get('kind')!r}")
    member = members[values["kind"]]
    fields = [entry.name for entry in dataclasses.fields(member)]
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise ValueError(f"{field} {values['kind']!r} has no field {unknown[0]!r}. Its fields: {', '.join(fields)}.")
    for entry in dataclasses.fields(member):
        # A truth value would pass for the number 1.
        if isinstance(values.get(entry.name), bool) and entry.type is not bool:
            raise ValueError(f"{entry.name}: a truth value is no {entry.name}. Received: {values[entry.name]}")
    return TypeAdapter(member).validate_python(values)
