"""Experiments plan runs, a run's protocol decides which records are its own, and records refuse to be altered."""

import re

import numpy as np
import pytest

from compactnet.data import Cifar10, UrbanSound8K
from compactnet.errors import InputError
from compactnet.networks import CATALOGUE, VGG8, Compact
from compactnet.schema import (
    Epoch,
    Execution,
    Experiment,
    Job,
    Predictions,
    RunRecord,
    SpeedRecord,
    Workload,
    summarize,
)
from compactnet.validation import validate
from tests.factories import run_record
from tests.report.factories import speed_record

CONTENT = {
    "name": "small",
    "data": {"source": "cifar10"},
    "networks": ["xvgg8", "compact_vgg_sum_c2"],
    "skeletons": {"vgg8": {"padding": "same"}},
    "training": {"epochs": 2},
    "seeds": [0, 1, 2],
}

EPOCH = {"epoch": 1, "train_loss": 0, "train_accuracy": 1, "test_loss": 0, "test_accuracy": 1, "seconds": 1}


def experiment(**changes):
    return validate(Experiment, CONTENT | changes, "test")


def first(**changes):
    return experiment(**changes).runs()[0]


def networks(**changes):
    return {network.name: network for network in experiment(**changes).networks}


def test_runs_are_all_networks_of_each_seed_in_turn():
    assert [(run.network.name, run.seed) for run in experiment().runs()] == [
        (network, seed) for seed in (0, 1, 2) for network in ("xvgg8", "compact_vgg_sum_c2")
    ]
    chosen = experiment().runs(only=["compact_vgg_sum_c2"], seeds=2)
    assert [(run.network.name, run.seed) for run in chosen] == [("compact_vgg_sum_c2", 0), ("compact_vgg_sum_c2", 1)]


def test_a_network_can_have_fewer_seeds():
    runs = experiment(seeds_of={"xvgg8": 1}).runs()
    assert [(run.network.name, run.seed) for run in runs] == [
        ("xvgg8", 0),
        *(("compact_vgg_sum_c2", seed) for seed in (0, 1, 2)),
    ]


CONTRAST = {"name": "first", "claim": "The compact one wins.", "terms": {"compact_vgg_sum_c2": 1, "xvgg8": -1}}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"seeds_of": {"xvgg9": 1}}, "seeds_of: the experiment has no network 'xvgg9'. Did you mean 'xvgg8'?"),
        ({"seeds_of": {"xvgg8": 4}}, "seeds_of: xvgg8 has 4 seeds, and the experiment 3"),
        ({"contrasts": [CONTRAST, CONTRAST]}, "contrasts: 'first' is listed twice"),
        ({"contrasts": [CONTRAST | {"terms": {"xvgg8": 1, "vgg": -1}}]}, "contrasts.first: the experiment has no"),
        ({"contrasts": [CONTRAST | {"terms": {"xvgg8": 1}}]}, "weights of a contrast must add up to 0"),
        ({"contrasts": [CONTRAST | {"terms": {"xvgg8": 0}}]}, "weights of a contrast must add up to 0"),
    ],
)
def test_seeds_and_contrasts_name_networks_of_the_experiment(changes, reason):
    with pytest.raises(InputError, match=re.escape(reason)):
        experiment(**changes)


def test_contrasts_and_seeds_change_no_protocol():
    assert first(contrasts=[CONTRAST], seeds_of={"xvgg8": 1}).budget == first().budget


def test_predictions_are_kept_in_little_and_must_fit_the_last_epoch():
    generator = np.random.default_rng(0)
    labels, predicted = generator.integers(0, 10, 10_000), generator.integers(0, 10, 10_000)
    kept = Predictions.of(labels, predicted)
    assert len(kept.model_dump_json()) < 14_000
    assert all((one == other).all() for one, other in zip(kept.arrays, (labels, predicted), strict=True))
    accuracy = float(np.mean(labels == predicted))
    assert kept.accuracy == accuracy
    record = run_record(first(), accuracies=(accuracy,), predictions=kept)
    assert RunRecord.model_validate_json(record.model_dump_json()) == record
    with pytest.raises(InputError, match="its predictions do not have the accuracy"):
        run_record(first(), accuracies=(accuracy + 0.01,), predictions=kept)
    assert "predictions" not in run_record(first()).model_dump()


@pytest.mark.parametrize("text", ["not base64", "AAAA", Predictions.of([1, 2, 3], [1, 2, 3]).labels])
def test_predictions_that_cannot_be_read_are_refused(text):
    with pytest.raises(InputError, match="labels and predicted must"):
        Predictions(labels=text, predicted=Predictions.of([1], [1]).predicted)


def test_each_fold_is_a_run_with_that_fold_alone():
    runs = experiment(data={"source": "urbansound8k", "test_folds": [7, 2]}, seeds=[0]).runs(only=["xvgg8"])
    assert [run.data.test_folds for run in runs] == [(7,), (2,)]
    assert [run.data.fold_name for run in runs] == ["fold7", "fold2"]
    assert not hasattr(UrbanSound8K(test_folds=(7, 2)), "load")


def test_unknown_names_and_seed_counts_are_refused():
    with pytest.raises(InputError, match=r"--only.*no network 'vgg8'.*xvgg8"):
        experiment().runs(only=["vgg8"])
    for count in (0, 4):
        with pytest.raises(InputError, match=rf"--seeds takes a number from 1 to 3.*{count}"):
            experiment().runs(seeds=count)


@pytest.mark.parametrize(
    "changes",
    [
        {"training": {"epochs": 3}},
        {"training": {"epochs": 2, "learning_rate": 0.01}},
        {"training": {"epochs": 2, "precision": "mixed_bfloat16"}},
        {"data": {"source": "cifar10", "train_samples": 10}},
        {"data": {"source": "cifar10", "resize_to": [64, 64]}},
        {"skeletons": {"vgg8": {"padding": "same", "width": 0.5}}},
        {"seeds": [5]},
        {"threads": 1},
    ],
)
def test_whatever_decides_an_outcome_changes_the_protocol_hash(changes):
    assert first(**changes).protocol_hash("f") != first().protocol_hash("f")


def test_the_hash_depends_on_data_and_backend_and_not_on_names(monkeypatch):
    run = first()
    assert run.protocol_hash("other data") != run.protocol_hash("f")
    renamed = [{"name": "mine", "base": "xvgg8", "title": "My own"}, "compact_vgg_sum_c2"]
    assert first(networks=renamed, name="other").protocol_hash("f") == run.protocol_hash("f")
    monkeypatch.setenv("KERAS_BACKEND", "jax" if run.execution.backend != "jax" else "torch")
    assert first().protocol_hash("f") != run.protocol_hash("f")


def test_backend_and_threads_change_the_protocol_and_not_the_budget(monkeypatch):
    assert first(threads=8).budget == first().budget
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert first().budget == first(threads=8).budget
    assert first(training={"epochs": 1}).budget != first().budget


def test_an_implementation_is_part_of_the_protocol_and_what_was_the_only_one_is_not():
    run = first()
    hashes = set()
    for fields in ({}, {"implementation": "fast"}, {"onednn": True}, {"onednn": False}, {"recompute": True}):
        execution = Execution(backend="tensorflow", threads=2, **fields)
        changed = run.model_copy(update={"execution": execution})
        assert set(changed.protocol("f")) - set(run.budget) == {"backend", "threads", *fields}
        assert changed.budget == run.budget
        hashes.add(changed.protocol_hash("f"))
    assert len(hashes) == 5


def test_fast_forms_are_refused_in_half_precision():
    with pytest.raises(InputError, match=r"implementation: fast exists in float32.*mixed_bfloat16; use auto"):
        first(implementation="fast", training={"epochs": 1, "precision": "mixed_bfloat16"})


def test_the_protocol_of_a_committed_record_is_what_it_was_when_it_was_trained():
    run = first(networks=["xvgg8"], training={"epochs": 5}, seeds=[0])
    fingerprint = "f25da585af914792d434fd4ee51969a79651096fa0d2b95c5bbf5c5aadd0ea6e"
    execution = run.execution.model_copy(update={"backend": "tensorflow"})
    run = run.model_copy(update={"execution": execution})
    assert run.protocol_hash(fingerprint).startswith("52d9bbfa3963")


def test_every_field_of_a_spec_can_be_set_in_a_config():
    entry = {
        "name": "mine",
        "base": "compact_vgg_sum_c2",
        "skeleton": {"width": 0.5, "padding": "same", "momentum": 0.9, "epsilon": 0.01, "global_pooling": "max"},
        "convolution": {
            "compact_factor": 16,
            "operation": "max",
            "grouping": "adjacent",
            "depthwise_activation": False,
        },
    }
    spec = networks(networks=[entry], skeletons={})["mine"]
    for part in ("skeleton", "convolution"):
        changed = getattr(spec, part).model_dump()
        assert {key: changed[key] for key in entry[part]} == entry[part]
        assert set(entry[part]) | {"kind"} == set(changed)


def test_another_kind_of_convolution_can_replace_a_catalogue_one():
    entry = {"name": "mine", "base": "mobilenet_v1_100", "convolution": {"kind": "compact", "compact_factor": 8}}
    spec = networks(networks=[entry])["mine"]
    assert spec.convolution == Compact(compact_factor=8)
    assert spec.skeleton == CATALOGUE["mobilenet_v1_100"].skeleton


FULL = {"name": "full", "title": "Full", "convolution": {"kind": "separable"}}


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("xvgg8", {"padding": "same", "width": 0.5}),
        ({"name": "own", "base": "xvgg8", "skeleton": {"width": 2}}, {"padding": "same", "width": 2}),
        ({"name": "kind", "base": "xvgg8", "skeleton": {"kind": "vgg8"}}, {"padding": "same", "width": 0.5}),
        ({"name": "other", "base": "xvgg8", "skeleton": {"kind": "mobilenet_v1"}}, {"momentum": 0.9, "width": 1}),
        ({"name": "back", "base": "mobilenet_v1_025", "skeleton": {"kind": "vgg8"}}, {"padding": "same", "width": 0.5}),
        ("mobilenet_v1_025", {"momentum": 0.9, "width": 0.25}),
        ({**FULL, "skeleton": {"kind": "vgg8"}}, {"padding": "same", "width": 0.5}),
        ({**FULL, "skeleton": {"kind": "vgg8", "padding": "valid"}}, {"padding": "valid", "width": 0.5}),
        ({**FULL, "skeleton": {"kind": "resnet50"}}, {"momentum": 0.99, "width": 1}),
        ({**FULL, "skeleton": VGG8()}, {"padding": "valid", "width": 1}),
    ],
)
def test_skeletons_change_every_network_of_their_kind(entry, expected):
    shared = {"vgg8": {"padding": "same", "width": 0.5}, "mobilenet_v1": {"momentum": 0.9}}
    (network,) = experiment(networks=[entry], skeletons=shared).networks
    fields = network.skeleton.model_dump()
    assert {field: fields[field] for field in expected} == expected


def test_a_field_at_its_default_stays_so_in_json():
    entry = {"name": "mine", "base": "xvgg8", "skeleton": {"channel_multiple": 1}}
    whole = experiment(networks=[entry, "xvgg8"], skeletons={"vgg8": {"channel_multiple": 4}})
    assert [network.skeleton.channel_multiple for network in whole.networks] == [1, 4]
    assert Experiment.model_validate_json(whole.model_dump_json()) == whole


@pytest.mark.parametrize("threads", ["Auto", 0, 1.5, True, None, [2]])
def test_threads_that_cannot_be_are_refused_with_their_key(threads):
    with pytest.raises(
        InputError, match=r"^test: threads: Input should be 'auto' or an integer of at least 1\. Received: "
    ):
        experiment(threads=threads)
    assert experiment(threads="auto").threads == "auto"
    assert experiment(threads=3).threads == 3


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"networks": ["vgg9"]}, r"Unknown network 'vgg9'. Did you mean .*vgg8'\?$"),
        ({"skeletons": {"vgg": {}}}, r"unknown skeleton 'vgg'"),
        ({"skeletons": {"vgg8": {"paddin": "same"}}}, r"skeletons\.vgg8: unknown key 'paddin'.*'padding'\?$"),
        ({"skeletons": {"vgg8": {"padding": "full"}}}, r"skeletons\.vgg8: padding: .*'full'"),
        ({"skeletons": {"vgg8": {"kind": "resnet50"}}}, r"skeletons\.vgg8: kind: .*'resnet50'"),
        # Of no network of the experiment.
        ({"skeletons": {"resnet50": {"nonsense": 1}}}, r"skeletons\.resnet50: unknown key 'nonsense'"),
        ({"networks": [{"name": "a", "skeleton": {"width": 1}}]}, r"the key 'networks\.0\.title' is missing"),
        (
            {"networks": [{"name": "a", "title": "A", "skeleton": {"width": 1}, "convolution": {"kind": "standard"}}]},
            r"the key 'networks\.0\.skeleton\.kind' is missing",
        ),
        (
            {"networks": [{"name": "a", "base": "xvgg8", "skeleton": {"kind": ["vgg8"]}}]},
            r"networks\.0\.skeleton\.kind must be one of",
        ),
        ({"skeletons": {"vgg8": {"width": -1}}}, r"width.*-1"),
        ({"networks": [{"name": "a", "base": "xvgg8", "convolution": {"kind": "dense"}}]}, r"kind must be one of"),
        (
            {"networks": [{"name": "a", "base": "xvgg8", "convolution": {"compact_factor": 2}}]},
            r"unknown key 'networks\.0\.convolution\.compact_factor'",
        ),
        (
            {"networks": [{"name": "a", "base": "compact_vgg_sum_c2", "convolution": {"operation": "min"}}]},
            r"operation.*'min'",
        ),
        ({"networks": [{"base": "xvgg8"}]}, r"networks\.0\.name' is missing"),
        ({"networks": [{"base": "xvgg8", "skeleton": {"width": 2}}]}, r"networks\.0\.name' is missing"),
        ({"networks": [{"base": "xvgg8", "name": "my-net"}]}, r"networks\.0\.name: .* letters, digits, '_' and '\.'"),
        ({"networks": [{"base": "xvgg8", "name": "a", "convolution": "standard"}]}, r"such as \{kind: standard\}"),
        ({"networks": "xvgg8"}, r"networks: Input should be a list, such as \[vgg8, xvgg8\]. Received: 'xvgg8'"),
        ({"seeds": 3}, r"seeds: Input should be a list, such as \[0, 1, 2\]. Received: 3"),
        (
            {"data": {"source": "cifar10", "resize_to": 64}},
            r"data\.resize_to: Input should be a list, such as \[64, 64\]",
        ),
        ({"data": {"source": "urbansound8k", "test_folds": 10}}, r"data\.test_folds: Input should be a list"),
        ({"networks": [{"name": "a", "base": "xvgg8", "skeleton": 3}]}, r"networks\.0\.skeleton"),
        ({"skeletons": {"vgg8": 3}}, r"skeletons: give the fields of each kind"),
    ],
)
def test_a_network_that_cannot_exist_is_refused_in_one_line(changes, reason):
    with pytest.raises(InputError, match=reason) as refusal:
        experiment(**changes)
    assert "\n" not in str(refusal.value)


def test_a_runs_model_takes_its_samples():
    model = first(data={"source": "cifar10", "resize_to": [80, 96]}).build()
    assert model.input_shape == (None, 32, 32, 3)
    assert model.output_shape == (None, 10)
    assert model.get_layer("resize").compute_output_shape((None, 32, 32, 3)) == (None, 80, 96, 3)


@pytest.mark.parametrize(
    ("table", "data", "reason"),
    [
        ("table4", {"source": "cifar10", "generated": True}, "never shows generated data"),
        ("table3", {"source": "cifar10"}, "table3 shows no accuracies on CIFAR-10"),
    ],
)
def test_an_experiment_reproduces_only_the_table_of_its_data(table, data, reason):
    with pytest.raises(InputError, match=reason):
        experiment(table=table, data=data)


def test_an_experiment_comes_back_from_its_json():
    whole = experiment()
    assert Experiment.model_validate_json(whole.model_dump_json()) == whole
    job = Job(run=first(), protocol_hash="0" * 64, data_folder="data", results_folder="runs")
    assert Job.model_validate_json(job.model_dump_json()) == job


def test_a_job_names_its_files_by_network_fold_seed_and_protocol():
    run = first(data={"source": "urbansound8k"})
    job = Job(run=run, protocol_hash="0123456789abcdef", data_folder="data", results_folder="runs")
    assert job.record.as_posix() == "runs/records/small/xvgg8-fold10-seed0-0123456789ab.json"
    assert job.checkpoints.name == "xvgg8-fold10-seed0-0123456789ab"
    # Experiments that plan the same run on official data share its record, and so its lock.
    images, made_up = first(), first(data={"source": "cifar10", "generated": True})
    locks = [
        Job(run=run, protocol_hash="0123456789abcdef", data_folder="data", results_folder="runs").lock.as_posix()
        for run in (images, images.model_copy(update={"experiment": "other"}), made_up)
    ]
    assert locks[:2] == ["runs/locks/xvgg8-seed0-0123456789ab.lock"] * 2
    assert locks[2] == "runs/locks/small/xvgg8-seed0-0123456789ab.lock"
    assert job.title == "xvgg8 fold10 seed 0"


def test_the_last_epoch_is_the_result_and_the_best_is_kept_too():
    figures = {"train_loss": 1, "train_accuracy": 0.5, "test_loss": 1, "seconds": 1}
    history = [Epoch(epoch=n, test_accuracy=accuracy, **figures) for n, accuracy in enumerate((0.3, 0.6, 0.6, 0.5), 1)]
    assert summarize(history) == {"last": history[3], "best": history[1]}
    with pytest.raises(InputError, match="finite"):
        Epoch(epoch=1, test_accuracy=float("nan"), **figures)


@pytest.mark.parametrize(
    "changes",
    [
        {"fingerprint": "other data"},
        {"protocol_hash": "0" * 64},
        {"last": EPOCH | {"epoch": 2}},
        {"history": [EPOCH], "last": EPOCH, "best": EPOCH},
        {"history": [EPOCH, EPOCH], "last": EPOCH, "best": EPOCH},
        {"coverage": {}},
        {"coverage": {"test": {"used": 10_000, "total": 10_000}}},
        {"predictions": Predictions.of([1, 2], [1, 2]).model_dump()},
    ],
)
def test_an_altered_record_is_refused(changes):
    record = run_record(first())
    assert validate(RunRecord, record.model_dump(mode="json"), "test") == record
    with pytest.raises(InputError, match="it was altered"):
        validate(RunRecord, record.model_dump(mode="json") | changes, "test")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"coverage": {"train": {"used": 2, "total": 1}, "test": {"used": 1, "total": 1}}},
            "used must be at most total",
        ),
        ({"coverage": {"train": {"used": 1, "total": 1}, "test": {"used": 0, "total": 1}}}, "coverage.test.used"),
        ({"last": EPOCH | {"test_accuracy": 1.5}}, "last.test_accuracy"),
        ({"recalibrated_accuracy": 80}, "recalibrated_accuracy"),
    ],
)
def test_values_that_a_record_cannot_have_are_refused(changes, reason):
    with pytest.raises(InputError, match=reason):
        validate(RunRecord, run_record(first()).model_dump(mode="json") | changes, "test")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"flops": 0}, "networks.1.flops"),
        ({"seconds": [[0.1, 0.2], [0.1]]}, "each round must have as many calls"),
        ({"seconds": [[0.1, 0.2]]}, "each must have as many rounds"),
    ],
)
def test_timings_that_cannot_be_compared_are_refused(changes, reason):
    record = speed_record("vgg8").model_dump(mode="json")
    assert validate(SpeedRecord, record, "test") == speed_record("vgg8")
    record["networks"][1] |= changes
    with pytest.raises(InputError, match=reason):
        validate(SpeedRecord, record, "test")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"kind": "sleep"}, "kind.*'sleep'"),
        ({"runtime": "caffe"}, "runtime.*'caffe'"),
        ({"kind": "training", "runtime": "litert"}, "`runtime` must be one of tensorflow, jax, torch for training"),
        ({"device": "gpu", "runtime": "onnxruntime"}, "`runtime` must be one of tensorflow, jax, torch"),
        ({"device": "tpu"}, "device.*'tpu'"),
        ({"threads": 1.5}, "threads.*1.5"),
        ({"batch_size": 0}, "batch_size.*0"),
    ],
)
def test_a_workload_that_does_not_exist_is_refused(fields, reason):
    with pytest.raises(InputError, match=reason) as refusal:
        Workload(**fields)
    assert len(refusal.value.lines) == 1


def test_sections_can_be_made_in_python_and_refuse_in_one_line():
    assert Cifar10(train_samples=10).official_counts() == (10, 10_000)
    with pytest.raises(InputError, match=r"unknown key 'train_sample'.*'train_samples'"):
        Cifar10(train_sample=10)
