"""What travels from a YAML file to a table, as typed models. Read this first.

A YAML file is an `Experiment`. It plans runs: a `Run` is one network with one seed on one fold of the data. A `Job`
tells a process to train a run. It leaves a `RunRecord`, or a `FailureRecord` if it fails for good. A `SpeedRecord`
holds what one benchmark measured. Tables and figures are made from records alone.
"""

import base64
import binascii
import hashlib
import json
import zlib
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, PositiveFloat, SerializeAsAny, field_validator, model_validator

from compactnet.checks import suggest
from compactnet.data import Cifar10, DataSection, Dcase2019, Fold, UrbanSound8K, UrbanSound8KFold
from compactnet.errors import InputError
from compactnet.networks import CATALOGUE, NetworkSpec, build, get_spec
from compactnet.networks.convolutions import or_instance_of
from compactnet.processes import BACKENDS, FAST_BACKENDS, backend
from compactnet.validation import Count, Number, StrictModel, added, described, listed, shown, validate

FORMAT = 2
"""Format of run and failure records; increased when their fields change."""

PREDICTION_TOLERANCE = 0.005
"""Largest difference of the last epoch's accuracy and that of the predictions, besides two samples."""

SPEED = "speed"
"""Name of the folder of speed records in the folder of records."""

Name = described(
    Annotated[str, Field(pattern=r"^[A-Za-z0-9_.]+$")], "Input should be a name of letters, digits, '_' and '.'"
)
Seed = Annotated[int, Field(ge=0, lt=2**32, strict=True)]

AnySection = Annotated[
    SerializeAsAny[Cifar10 | Dcase2019 | UrbanSound8K], Field(discriminator="source"), or_instance_of(DataSection)
]
"""The data sets that a YAML file can name by their `source`."""

AnyFold = Annotated[
    SerializeAsAny[Cifar10 | Dcase2019 | UrbanSound8KFold], Field(discriminator="source"), or_instance_of(Fold)
]
"""The same with one split: what a run uses."""


class Training(StrictModel):
    """How a run is trained; the defaults are the paper's where it states them (Sec. V-A).

    Attributes:
        epochs: Passes over the training split.
        batch_size: Samples per step.
        optimizer: "adam".
        learning_rate: Of the optimizer.
        precision: Keras dtype policy: "float32", "mixed_float16" or "mixed_bfloat16".
    """

    epochs: Count
    batch_size: Count = 32
    optimizer: Literal["adam"] = "adam"
    learning_rate: Annotated[Number, Field(gt=0)] = 0.001
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"


class Network(NetworkSpec):
    """A network of an experiment.

    In a YAML file it is the name of a catalogue network, or a mapping with `name`, `base` (the catalogue network it
    starts from) and the fields to change: `title`, `skeleton` and `convolution`. Without `base` they are given in full.

    Attributes:
        name: Its name in records; unique in the experiment.
    """

    name: Name


class Contrast(StrictModel):
    """A comparison that an experiment is made for, chosen before its first run.

    Attributes:
        name: Its name in tables; unique in the experiment.
        claim: What it decides, a sentence that holds where the difference is above 0.
        terms: {network: weight} of a sum of mean accuracies; the weights add up to 0.
    """

    name: Name
    claim: str
    terms: dict[str, Number]

    @field_validator("terms")
    @classmethod
    def _a_difference(cls, terms):
        if abs(sum(terms.values())) > 1e-9 or not any(terms.values()):
            raise ValueError(f"the weights of a contrast must add up to 0 and not all be 0. Received: {shown(terms)}")
        return terms


class Slurm(StrictModel):
    """What a job asks of Slurm, `launcher:` in a YAML file; its threads are the experiment's.

    Attributes:
        partition: Name of the partition; left out, the cluster's default.
        account: Name of the account; left out, the user's default.
        minutes: Time limit of a job. One that needs longer is requeued and continues from its checkpoint.
        memory_gb: Memory of a job in GB; left out, the cluster's default.
        gpus: GPUs of a job.
    """

    partition: str | None = None
    account: str | None = None
    minutes: Count = 720
    memory_gb: Count | None = None
    gpus: Annotated[int, Field(ge=0, strict=True)] = 0


class Execution(StrictModel):
    """What computes a run. It changes bits, not the budget.

    Attributes:
        backend: Keras backend.
        threads: Processor threads. Results are equal to the bit only for the same number.
        implementation: "keras" for the layers of Keras and its `fit`, or "fast" for the forms of `compactnet.fast`,
            which are faster on processors.
        onednn: Whether TensorFlow uses the kernels of oneDNN; None where TensorFlow decides.
        recompute: Whether features between convolutions are computed again for the gradient instead of being kept.
    """

    backend: Literal[BACKENDS]
    threads: Count
    implementation: Literal["keras", "fast"] = "keras"
    onednn: Annotated[bool, Field(strict=True)] | None = None
    recompute: Annotated[bool, Field(strict=True)] = False

    @model_validator(mode="after")
    def _supported(self):
        if self.implementation == "fast" and self.backend not in FAST_BACKENDS:
            raise ValueError(
                f"fast implementations exist on {' and '.join(FAST_BACKENDS)}. Received: backend={self.backend!r}"
            )
        if self.onednn is not None and self.backend != "tensorflow":
            raise ValueError(f"onednn concerns tensorflow alone. Received: backend={self.backend!r}")
        return self

    @property
    def title(self):
        """What messages and tables call it, without the threads: "tensorflow", "jax, fast" or "tensorflow, fast, oneDNN
        on"."""
        kernels = {None: [], True: ["oneDNN on"], False: ["oneDNN off"]}[self.onednn]
        memory = ["recomputation"] if self.recompute else []
        forms = ["fast"] if self.implementation == "fast" else []
        return ", ".join([self.backend, *forms, *kernels, *memory])


class Run(StrictModel):
    """One network with one seed on one fold of the data.

    Attributes:
        experiment: Name of the experiment.
        network: The `Network`.
        seed: Seed of the weights and of the order of the samples.
        data: The `Fold` of the data set.
        training: The `Training`.
        execution: The `Execution`.
    """

    experiment: str
    network: Network
    seed: Seed
    data: AnyFold
    training: Training
    execution: Execution

    @property
    def key(self):
        """What tells it apart from the other runs of all experiments."""
        return self.experiment, self.network.name, self.seed, self.data.fold_name

    @property
    def title(self):
        """What progress bars and messages call it."""
        return " ".join(filter(None, [self.network.name, self.data.fold_name, f"seed {self.seed}"]))

    @property
    def budget(self):
        """The protocol without the execution and the fingerprint, as plain JSON data."""
        return {
            "network": self.network.architecture(),
            "seed": self.seed,
            "data": self.data.protocol(),
            "training": self.training.model_dump(mode="json"),
        }

    def protocol(self, fingerprint):
        """Return what decides the outcome, as plain JSON data.

        Args:
            fingerprint: Fingerprint of the data, `Dataset.fingerprint`.
        """
        budget = self.budget
        data = {**budget["data"], "fingerprint": fingerprint}
        # What records did not have at first is left out where it is as it was then, so that hashes stay.
        execution = self.execution.model_dump(exclude_defaults=True)
        return {**budget, "data": data, **execution}

    def protocol_hash(self, fingerprint):
        """Return the hexadecimal hash of the protocol; a run is skipped only if its record has the same one."""
        return hash_json(self.protocol(fingerprint))

    def build(self):
        """Return the untrained model of the network, for the run's data."""
        data = self.data
        return build(self.network, data.sample_shape, data.classes, data.network_size, self.network.name)


class Experiment(StrictModel):
    """A YAML file.

    Attributes:
        name: Name of the experiment; its records are in a folder of this name.
        table: The paper's table that it reproduces, or None for an ablation.
        note: What a reader of its tables must know, such as which recordings were used.
        data: The section of the data set that its `source` names.
        networks: The networks, see `Network`.
        skeletons: Fields changed in every network with a skeleton, by the skeleton's kind: `{vgg8: {padding: same}}`.
            Where a network gives the field itself, its own value counts. Empty once they are in `networks`.
        training: The `Training`.
        seeds: The seeds; a network has one run for each.
        seeds_of: {network: number}, for networks that have runs for the first few seeds only.
        contrasts: The comparisons that it is made for, see `Contrast`.
        threads: Processor threads of one run, or "auto" for what is faster here: one run with all cores, or as many
            runs as cores with one thread each.
        implementation: "keras" or "fast", see `Execution`, or "auto" for what is faster here, also of the backends
            where KERAS_BACKEND is not set.
        recompute: Whether activations are computed again for the gradient instead of being kept, see `Execution`.
        launcher: A `Slurm` section, for runs on a cluster.
    """

    name: described(
        Annotated[str, Field(pattern=r"^[a-z0-9_-]+$")],
        "Input should be a name of lower-case letters, digits, '-' and '_'",
    )
    table: Literal["table3", "table4"] | None = None
    note: str = ""
    data: AnySection
    networks: listed(Annotated[tuple[Network, ...], Field(min_length=1)], "[vgg8, xvgg8]")
    skeletons: dict[str, dict[str, Any]] = Field(default_factory=dict)
    training: Training
    seeds: listed(Annotated[tuple[Seed, ...], Field(min_length=1)], "[0, 1, 2]")
    seeds_of: dict[str, Count] = Field(default_factory=dict)
    contrasts: tuple[Contrast, ...] = ()
    threads: described(Count | Literal["auto"], "Input should be 'auto' or an integer of at least 1") = 2
    implementation: Literal["auto", "keras", "fast"] = "keras"
    recompute: Annotated[bool, Field(strict=True)] = False
    launcher: Slurm = Slurm()

    @model_validator(mode="before")
    @classmethod
    def _complete_networks(cls, content):
        if not isinstance(content, dict) or not isinstance(content.get("networks"), list | tuple):
            return content
        skeletons = content.get("skeletons", {})
        if not isinstance(skeletons, dict) or not all(isinstance(fields, dict) for fields in skeletons.values()):
            raise ValueError(
                f"skeletons: give the fields of each kind: {{vgg8: {{padding: same}}}}. Received: {shown(skeletons)}"
            )
        classes = {spec.skeleton.kind: type(spec.skeleton) for spec in CATALOGUE.values()}
        for kind, fields in skeletons.items():
            if kind not in classes:
                raise ValueError(f"skeletons: unknown skeleton {shown(kind)}. Known: {', '.join(sorted(classes))}")
            validate(classes[kind], {"kind": kind, **fields}, f"skeletons.{kind}")
        networks = [_complete(entry, skeletons) for entry in content["networks"]]
        # Applied once: fields at their defaults may be left out of JSON, and would be changed when it is read.
        return {**content, "networks": networks, "skeletons": {}}

    @field_validator("name")
    @classmethod
    def _not_reserved(cls, name):
        if name == SPEED:
            raise ValueError(f"records/{SPEED} is the folder of speed records; choose another name")
        return name

    @model_validator(mode="after")
    def _fits_the_paper(self):
        if self.table is not None and self.data.generated:
            raise ValueError("table: a table of the paper never shows generated data; leave `table` out")
        if self.table not in (None, self.data.paper_table):
            raise ValueError(f"table: {self.table} shows no accuracies on {self.data.title}")
        return self

    @model_validator(mode="after")
    def _fast_in_float32(self):
        if self.implementation == "fast" and self.training.precision != "float32":
            raise ValueError(
                f"implementation: fast exists in float32, and training.precision is {self.training.precision}; use auto"
            )
        return self

    @model_validator(mode="after")
    def _names_its_networks(self):
        known = [network.name for network in self.networks]
        named = {"seeds_of": self.seeds_of}
        named |= {f"contrasts.{contrast.name}": contrast.terms for contrast in self.contrasts}
        for field, names in named.items():
            for name in names:
                if name not in known:
                    raise ValueError(f"{field}: the experiment has no network {name!r}. {suggest(name, known)}")
        for name, count in self.seeds_of.items():
            if count > len(self.seeds):
                raise ValueError(f"seeds_of: {name} has {count} seeds, and the experiment {len(self.seeds)}")
        return self

    @model_validator(mode="after")
    def _no_repeats(self):
        for field, values in (
            ("networks", [network.name for network in self.networks]),
            ("seeds", self.seeds),
            ("contrasts", [contrast.name for contrast in self.contrasts]),
        ):
            repeated = [value for value in values if values.count(value) > 1]
            if repeated:
                raise ValueError(f"{field}: {repeated[0]!r} is listed twice")
        return self

    def runs(self, only=None, seeds=None):
        """Return the runs, all networks of the first seed first, so that whole columns fill early.

        Where the experiment leaves it open, they have two threads and Keras' implementation;
        `compactnet.measure.executions` chooses.

        Args:
            only: Names of networks to keep, or None for all.
            seeds: How many of the seeds to use, from the first on, or None for all.

        Raises:
            InputError: a name that the experiment does not have, or more seeds than it has.
        """
        names = [network.name for network in self.networks]
        for name in only or ():
            if name not in names:
                known = ", ".join(names)
                raise InputError(
                    f"--only: the experiment {self.name!r} has no network {name!r}. Its networks: {known}."
                )
        if seeds is not None and not 1 <= seeds <= len(self.seeds):
            raise InputError(
                f"--seeds takes a number from 1 to {len(self.seeds)}, the seeds of the config. Received: {seeds}"
            )
        execution = Execution(
            backend=backend(),
            threads=2 if self.threads == "auto" else self.threads,
            implementation="keras" if self.implementation == "auto" else self.implementation,
            recompute=self.recompute,
        )
        return [
            Run(
                experiment=self.name,
                network=network,
                seed=seed,
                data=fold,
                training=self.training,
                execution=execution,
            )
            for number, seed in enumerate(self.seeds[:seeds])
            for fold in self.data.folds()
            for network in self.networks
            if only is None or network.name in only
            if number < self.seeds_of.get(network.name, len(self.seeds))
        ]


class Job(StrictModel):
    """What a process that trains a run is told.

    Attributes:
        run: The `Run`.
        protocol_hash: Hash of its protocol on the data that the sweep was planned for.
        data_folder: Folder of the data sets.
        results_folder: Folder for records, logs, checkpoints, locks, failures, TensorBoard logs and weights.
        tensorboard: Whether to write TensorBoard logs.
        keep_weights: Whether to keep the trained weights.
    """

    run: Run
    protocol_hash: str
    data_folder: Path
    results_folder: Path
    tensorboard: bool = False
    keep_weights: bool = False

    @property
    def title(self):
        """What progress bars and messages call it."""
        return self.run.title

    def path(self, kind, ending):
        """Return a path of the run, such as `path("records", ".json")`."""
        run = self.run
        name = "-".join(
            filter(None, [run.network.name, run.data.fold_name, f"seed{run.seed}", self.protocol_hash[:12]])
        )
        return self.results_folder / kind / run.experiment / f"{name}{ending}"

    @property
    def record(self):
        """Path of the record."""
        return self.path("records", ".json")

    @property
    def checkpoints(self):
        """Folder of the checkpoints."""
        return self.path("checkpoints", "")

    @property
    def failure(self):
        """Path of the failure record."""
        return self.path("failures", ".json")

    @property
    def lock(self):
        """Path of the lock that the process holds; on official data, one for all experiments that plan the run."""
        path = self.path("locks", ".lock")
        return path.parent.parent / path.name if self.run.data.official_fingerprint else path

    @property
    def log(self):
        """Path of the log."""
        return self.path("logs", ".log")

    @property
    def weights(self):
        """Path of the trained weights."""
        return self.path("weights", ".npz")


class Environment(StrictModel):
    """Where something was run or timed.

    Attributes:
        backend: Keras backend.
        versions: {package: version}
        processor: Model name of the processor.
        vector_extensions: Its vector and matrix instructions, of "AVX", "AVX2", "AVX-512", "AMX", "NEON" and "SVE";
            None in records from before they were kept, and where the system does not tell.
        onednn: Whether TensorFlow uses the kernels of oneDNN; None on other backends and in older records.
        cores: Number of its cores.
        device: Where the backend puts a tensor.
        system: Operating system and architecture.
        commit: Git commit of the code, with "+changes" where files differ from it; None outside a repository.
    """

    backend: str | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    processor: str = "processor unknown"
    vector_extensions: tuple[str, ...] | None = None
    onednn: bool | None = None
    cores: int | None = None
    device: str | None = None
    system: str | None = None
    commit: str | None = None


Share = Annotated[Number, Field(ge=0, le=1)]


class Epoch(StrictModel):
    """Loss and accuracy after an epoch, the training figures averaged over its steps."""

    epoch: Count
    train_loss: Number
    train_accuracy: Share
    test_loss: Number
    test_accuracy: Share
    seconds: Number


class Coverage(StrictModel):
    """Samples used of all samples of a split."""

    used: Count
    total: Count

    @model_validator(mode="after")
    def _a_part(self):
        if self.used > self.total:
            raise ValueError(f"used must be at most total. Received: used={self.used}, total={self.total}")
        return self


class Predictions(StrictModel):
    """The class of each test sample and the one predicted for it, each as base64 of compressed bytes, one a sample.

    Attributes:
        labels: The true classes, in the order of the test split.
        predicted: The predicted classes, in the same order.
    """

    labels: str
    predicted: str

    CLASSES: ClassVar = 256
    """The most classes that bytes can tell apart."""

    @model_validator(mode="after")
    def _readable(self):
        try:
            counts = {len(_unpack(self.labels)), len(_unpack(self.predicted))}
        except (binascii.Error, zlib.error) as error:
            raise ValueError(f"labels and predicted must be base64 of compressed bytes ({error})") from None
        if len(counts) > 1 or 0 in counts:
            raise ValueError(f"labels and predicted must have a class for each sample. Received: {sorted(counts)}")
        return self

    @classmethod
    def of(cls, labels, predicted):
        """Return the `Predictions` of two integer arrays with classes from 0 to 255."""
        return cls(labels=_pack(labels), predicted=_pack(predicted))

    @property
    def arrays(self):
        """(labels, predicted), two arrays of bytes."""
        return _unpack(self.labels), _unpack(self.predicted)

    @property
    def right(self):
        """For each sample, whether its class was predicted."""
        labels, predicted = self.arrays
        return labels == predicted

    @property
    def accuracy(self):
        """Share of the samples whose class was predicted."""
        return float(np.mean(self.right))


def _pack(classes):
    return base64.b64encode(zlib.compress(np.asarray(classes).astype(np.uint8).tobytes(), 9)).decode()


def _unpack(text):
    return np.frombuffer(zlib.decompress(base64.b64decode(text, validate=True)), np.uint8)


class Segment(StrictModel):
    """A part of a training that was resumed in another environment.

    Attributes:
        from_epoch: First epoch of the part.
        environment: The `Environment`.
    """

    from_epoch: Count
    environment: Environment


class RunRecord(StrictModel):
    """One trained run: the only source of an accuracy in a table. One JSON file each.

    Attributes:
        format: `FORMAT`.
        run: The `Run`.
        fingerprint: Fingerprint of the data.
        protocol_hash: Hash of the run's protocol on these data.
        last: The last epoch, whose accuracy is the result.
        best: The epoch with the highest test accuracy.
        history: All epochs.
        params: Number of weights.
        weights_sha256: Hash of all trained weights; None in records from before it was kept.
        predictions: The `Predictions` of the last epoch's weights; None in records from before they were kept.
        recalibrated_accuracy: Test accuracy of the same weights with the statistics of batch normalization taken from
            training batches anew; never the result, which is `last`. None in older records, and without normalization.
        initial_statistics_share: Share of the initial values left in moving statistics, momentum^steps; None likewise.
        coverage: {"train": `Coverage`, "test": `Coverage`}
        skipped: {sample: reason} of samples that could not be read.
        finished: When, ISO 8601 in UTC.
        duration_seconds: Time of the training, resumed parts included.
        environment: Where it was started.
        resumed: A `Segment` for each part that ran in another environment.
    """

    format: Literal[2] = FORMAT
    run: Run
    fingerprint: str
    protocol_hash: str
    last: Epoch
    best: Epoch
    history: Annotated[tuple[Epoch, ...], Field(min_length=1)]
    params: int
    weights_sha256: str | None = None
    predictions: added(Predictions | None, None) = None
    recalibrated_accuracy: added(Share | None, None) = None
    initial_statistics_share: added(Share | None, None) = None
    coverage: dict[Literal["train", "test"], Coverage]
    skipped: dict[str, str] = Field(default_factory=dict)
    finished: str
    duration_seconds: Number
    environment: Environment = Environment()
    resumed: tuple[Segment, ...] = ()

    @model_validator(mode="after")
    def _unaltered(self):
        figures = {"last": self.last, "best": self.best}
        if self.run.protocol_hash(self.fingerprint) != self.protocol_hash or figures != summarize(self.history):
            raise ValueError("it was altered: its protocol or its figures do not match the rest of it")
        if [epoch.epoch for epoch in self.history] != list(range(1, self.run.training.epochs + 1)):
            raise ValueError("it was altered: its history does not have each epoch of its training once")
        if set(self.coverage) != {"train", "test"}:
            raise ValueError("it was altered: its coverage does not have both splits, train and test")
        # Computed by another program, whose rounding may turn close decisions.
        if self.predictions:
            samples = len(self.predictions.arrays[0])
            if samples != self.coverage["test"].used:
                raise ValueError("it was altered: it does not have a prediction for each test sample")
            allowed = PREDICTION_TOLERANCE + 2 / samples
            if abs(self.predictions.accuracy - self.last.test_accuracy) > allowed:
                raise ValueError("it was altered: its predictions do not have the accuracy of its last epoch")
        return self

    @property
    def generated(self):
        """Whether the data are generated."""
        return self.run.data.generated


class FailureRecord(StrictModel):
    """A run that failed for good.

    Attributes:
        format: `FORMAT`.
        run: The `Run`.
        reason: Why, in one line.
        attempts: How often it was tried.
        log: Name of its log.
        finished: When, ISO 8601 in UTC.
    """

    format: Literal[2] = FORMAT
    run: Run
    reason: str
    attempts: Count
    log: str
    finished: str


class Workload(StrictModel):
    """What a benchmark times, and on what.

    Attributes:
        kind: "inference", or "training" for a step of Adam: forward, backward and update.
        runtime: "tensorflow", "jax", "torch", "litert", "onnxruntime" or "openvino"; training and GPUs take one of the
            first three.
        device: "cpu" or "gpu".
        input_shape: (height, width, channels) of a sample.
        batch_size: Samples per call.
        threads: Processor threads.
        core: The processor core that a process is pinned to, or None for any.
        deployed: Whether the folded and exported file is timed, see `compactnet.deploy.export`, and not the network as
            it was built.
        precision: Of the exported file.
    """

    kind: Literal["inference", "training"] = "inference"
    runtime: Literal["tensorflow", "jax", "torch", "litert", "onnxruntime", "openvino"] = "tensorflow"
    device: Literal["cpu", "gpu"] = "cpu"
    input_shape: tuple[Count, Count, Count] = (128, 512, 1)
    batch_size: Count = 1
    threads: Count = 1
    core: int | None = None
    deployed: added(bool, False) = False
    precision: added(Literal["float32", "float16", "int8", "int8_dynamic"], "float32") = "float32"

    @model_validator(mode="after")
    def _supported(self):
        if not self.deployed and (self.precision != "float32" or self.runtime == "openvino"):
            raise ValueError("`runtime` openvino, and every `precision` but float32, need deployed=true.")
        if (self.kind == "training" or self.device == "gpu") and self.runtime not in BACKENDS:
            raise ValueError(
                f"`runtime` must be one of {', '.join(BACKENDS)} for training and on a GPU. "
                f"Received: runtime={self.runtime!r}"
            )
        return self


class NetworkTimings(StrictModel):
    """The timed calls of one network.

    Attributes:
        network: Its name.
        flops: FLOPs of one forward pass of one sample, counted on the network that was timed.
        peak_bytes: Peak memory of its process above what it held before the network was built (on a GPU: peak memory
            on the GPU), or None where the system does not tell.
        interchannel: Form of the interchannel operation in the exported file that was timed, or None.
        milliseconds_by_form: {form: median milliseconds of its file}, for all forms that were tried.
        seconds: The seconds of each call, in rounds.
    """

    network: str
    flops: Count
    peak_bytes: int | None
    interchannel: added(str | None, None) = None
    milliseconds_by_form: added(dict[str, float], {}) = Field(default_factory=dict)
    seconds: Annotated[tuple[Annotated[tuple[PositiveFloat, ...], Field(min_length=1)], ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _equal_rounds(self):
        if len({len(calls) for calls in self.seconds}) > 1:
            raise ValueError(f"seconds: each round must have as many calls. Received: {list(map(len, self.seconds))}")
        return self

    @property
    def quartiles(self):
        """First quartile, median and third quartile of all calls, in seconds."""
        return tuple(float(value) for value in np.percentile(self.seconds, (25, 50, 75)))

    @property
    def round_medians(self):
        """Median of each round in seconds, an array."""
        return np.median(self.seconds, axis=1)

    def speedup(self, reference):
        """Return how many times as fast as `reference`: median, minimum and maximum of the rounds' ratios."""
        ratios = reference.round_medians / self.round_medians
        return float(np.median(ratios)), float(ratios.min()), float(ratios.max())


class SpeedRecord(StrictModel):
    """What one benchmark measured: one machine, one period of time. Ratios are valid only within a record.

    Attributes:
        format: 1.
        work: The `Workload`.
        loaded_core: The core that was kept busy on purpose, or None.
        load_before: The system's load of the minute before, in processes, or None where it does not tell.
        started: When, ISO 8601 in UTC.
        finished: When it ended.
        environment: Versions, processor and commit.
        accelerator: Name of the GPU that computed, or None.
        networks: `NetworkTimings` of each network; ratios refer to the first.
    """

    format: Literal[1] = 1
    work: Workload
    loaded_core: int | None
    load_before: float | None
    started: str
    finished: str
    environment: Environment
    accelerator: str | None
    networks: Annotated[tuple[NetworkTimings, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _timed_in_turns(self):
        rounds = {timings.network: len(timings.seconds) for timings in self.networks}
        if len(set(rounds.values())) > 1:
            raise ValueError(f"networks: each must have as many rounds. Received: {rounds}")
        return self

    def timings(self, network):
        """Return the `NetworkTimings` of a network, or None where it was not timed."""
        return next((timings for timings in self.networks if timings.network == network), None)


def hash_json(content):
    """Return the hexadecimal SHA-256 of plain JSON data, whatever the order of keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def summarize(history):
    """Return {"last": the last epoch, "best": the first epoch with the highest test accuracy} of a history."""
    return {"last": history[-1], "best": max(history, key=lambda epoch: epoch.test_accuracy)}


def _complete(entry, skeletons):
    """Return a network's entry in a YAML file with all fields of its base, and with those shared by its skeleton."""
    if isinstance(entry, str):
        entry = {"name": entry, "base": entry}
    if not isinstance(entry, dict):
        return entry
    for field in ("skeleton", "convolution"):
        if isinstance(entry.get(field), str):
            raise ValueError(
                f"networks: give the fields of a {field}, such as {{kind: {entry[field]}}}. Received: "
                f"{field}={entry[field]!r}"
            )
    completed = {key: value for key, value in entry.items() if key != "base"}
    own, base = entry.get("skeleton") or {}, {}
    if "base" in entry:
        spec = get_spec(entry["base"])
        base, convolution = spec.skeleton.model_dump(), entry.get("convolution") or {}
        completed["title"] = entry.get("title") or (entry.get("name", "") if own or convolution else spec.title)
        completed["skeleton"] = own
        completed["convolution"] = _merge(spec.convolution.model_dump(), convolution)
    kind = own.get("kind", base.get("kind")) if isinstance(own, dict) else None
    if isinstance(kind, str):
        completed["skeleton"] = _merge(_merge(base, {"kind": kind, **skeletons.get(kind, {})}), own)
    return completed


def _merge(fields, changes):
    """Return fields with changes; those of another kind replace all fields."""
    if not isinstance(changes, dict) or changes.get("kind", fields.get("kind")) != fields.get("kind"):
        return changes
    return {**fields, **changes}
