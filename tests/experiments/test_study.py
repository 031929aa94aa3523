import dataclasses

import pytest

from compactnet.errors import InputError
from compactnet.experiments.config import StudyConfig
from compactnet.experiments.study import build_network, cells, network_specs, same_budget
from compactnet.networks import CATALOGUE, Compact


def study(**changes):
    content = {
        "name": "small",
        "data": {"source": "cifar10"},
        "networks": ["xvgg8", "compact_vgg_sum_c2"],
        "skeletons": {"vgg8": {"padding": "same"}},
        "training": {"epochs": 2},
        "seeds": [0, 1, 2],
    }
    return StudyConfig.model_validate(content | changes)


def first(config, fingerprint="f"):
    return cells(config, fingerprint)[0]


def test_cells_are_all_networks_of_each_seed_in_turn():
    assert [(cell.network, cell.seed) for cell in cells(study(), "f")] == [
        (network, seed) for seed in (0, 1, 2) for network in ("xvgg8", "compact_vgg_sum_c2")
    ]
    chosen = cells(study(), "f", only=["compact_vgg_sum_c2"], seeds=2)
    assert [(cell.network, cell.seed) for cell in chosen] == [("compact_vgg_sum_c2", 0), ("compact_vgg_sum_c2", 1)]


def test_unknown_names_and_seed_counts_are_refused():
    with pytest.raises(InputError, match=r"--only.*no network 'vgg8'.*xvgg8"):
        cells(study(), "f", only=["vgg8"])
    for count in (0, 4):
        with pytest.raises(InputError, match=rf"--seeds takes a number from 1 to 3.*{count}"):
            cells(study(), "f", seeds=count)


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
    assert first(study(**changes)).protocol_hash != first(study()).protocol_hash


def test_the_hash_depends_on_data_and_backend_and_not_on_names(monkeypatch):
    plain = first(study())
    assert first(study(), "other data").protocol_hash != plain.protocol_hash
    renamed = study(networks=[{"name": "mine", "base": "xvgg8", "title": "My own"}, "compact_vgg_sum_c2"], name="other")
    assert first(renamed).protocol_hash == plain.protocol_hash
    monkeypatch.setenv("KERAS_BACKEND", "jax" if plain.protocol["backend"] != "jax" else "torch")
    assert first(study()).protocol_hash != plain.protocol_hash


def test_a_record_has_the_configs_budget_whatever_machine_ran_it(monkeypatch):
    planned = first(study(), "").protocol
    assert same_budget(first(study(threads=8), "any data").protocol, planned)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert same_budget(first(study(), "any data").protocol, planned)
    assert not same_budget(first(study(training={"epochs": 1}), "any data").protocol, planned)
    assert not same_budget(first(study(), "one").protocol, first(study(), "another").protocol)
    assert same_budget(first(study(), "metadata:content").protocol, first(study(), "metadata:").protocol)
    assert not same_budget(first(study(), "others:content").protocol, first(study(), "metadata:").protocol)


def test_every_field_of_a_spec_is_reachable_from_a_config():
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
    spec = network_specs(study(networks=[entry], skeletons={}))["mine"]
    for part in ("skeleton", "convolution"):
        changed = dataclasses.asdict(getattr(spec, part))
        assert {key: changed[key] for key in entry[part]} == entry[part]
        assert set(entry[part]) | {"kind"} == set(changed)


def test_another_kind_of_convolution_can_take_the_place_of_a_catalogue_one():
    entry = {"name": "mine", "base": "mobilenet_v1_100", "convolution": {"kind": "compact", "compact_factor": 8}}
    spec = network_specs(study(networks=[entry]))["mine"]
    assert spec.convolution == Compact(compact_factor=8)
    assert spec.skeleton == CATALOGUE["mobilenet_v1_100"].skeleton


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"networks": ["vgg9"]}, r"Unknown network 'vgg9'. Did you mean .*vgg8"),
        ({"skeletons": {"vgg": {}}}, r"unknown skeleton 'vgg'"),
        ({"skeletons": {"vgg8": {"paddin": "same"}}}, r"'vgg8' has no field 'paddin'"),
        ({"skeletons": {"vgg8": {"padding": "full"}}}, r"padding.*'full'"),
        ({"skeletons": {"vgg8": {"width": -1}}}, r"width.*-1"),
        ({"networks": [{"name": "a", "base": "xvgg8", "convolution": {"kind": "dense"}}]}, r"kind must be one of"),
        ({"networks": [{"name": "a", "base": "xvgg8", "convolution": {"compact_factor": 2}}]}, r"no field 'compact_"),
        (
            {"networks": [{"name": "a", "base": "compact_vgg_sum_c2", "convolution": {"operation": "min"}}]},
            r"operation.*'min'",
        ),
    ],
)
def test_a_network_that_cannot_be_is_refused_in_one_line(changes, reason):
    with pytest.raises(InputError, match=reason) as refusal:
        network_specs(study(**changes))
    assert "\n" not in str(refusal.value)


def test_a_studys_network_takes_the_studys_samples():
    config = study(data={"source": "cifar10", "resize_to": [80, 96]})
    model = build_network(config, network_specs(config)["xvgg8"], "xvgg8")
    assert model.input_shape == (None, 32, 32, 3)
    assert model.output_shape == (None, 10)
    assert model.get_layer("resize").compute_output_shape((None, 32, 32, 3)) == (None, 80, 96, 3)
