"""What a config says of training reaches the training, and a resumed run goes on where it stopped."""

import keras
import pytest

from compactnet.errors import InputError
from compactnet.experiments import train
from compactnet.experiments.batches import permutation
from compactnet.experiments.train import train_run
from compactnet.experiments.trainers import compile_model
from compactnet.networks.keras_internals import all_sublayers
from compactnet.schema import Experiment, Network
from tests.test_extend import TOY_NETWORK, ToyData


def run_of(**changes):
    """Return a run of a toy network with the seed 5: 20 samples in 3 batches of up to 8, 3 epochs."""
    content = {
        "name": "toy",
        "data": ToyData(generated=True, samples=20),
        "networks": [Network(name="toy", **dict(TOY_NETWORK))],
        "training": {"epochs": 3, "batch_size": 8},
        "seeds": [5],
    }
    return Experiment.model_validate(content | changes).runs()[0]


def test_every_seed_and_epoch_has_an_order_of_its_own():
    orders = [tuple(permutation(70, seed, epoch)) for seed in (0, 1) for epoch in (0, 1)]
    assert len(set(orders)) == 4
    assert tuple(range(70)) not in orders
    assert all(sorted(order) == list(range(70)) for order in orders)


def test_a_run_takes_the_weights_and_orders_of_its_seed_and_its_batches(monkeypatch):
    orders, seeds, events = [], [], []
    monkeypatch.setattr(train, "permutation", lambda *key: orders.append(key) or permutation(*key))
    monkeypatch.setattr(keras.utils, "set_random_seed", seeds.append)
    monkeypatch.setattr(train, "REPORT_SECONDS", 0)
    record = train_run(run_of(), "unused", events.append)
    assert orders == [(20, 5, 0), (20, 5, 1), (20, 5, 2)]
    assert seeds == [5]
    assert max(event["done"] for event in events if event["event"] == "step") == 9
    assert record.initial_statistics_share == pytest.approx(0.99**9)


def test_figures_of_training_and_of_the_test_are_not_mixed_up(monkeypatch):
    class Trainer:
        def run(self, order):
            return {"loss": 1.0, "accuracy": 0.25, "val_loss": 2.0, "val_accuracy": 0.5}

    monkeypatch.setattr(train, "choose_trainer", lambda *arguments: Trainer())
    monkeypatch.setattr(train.evaluation, "predict", lambda *arguments: None)
    last = train_run(run_of(training={"epochs": 1}), "unused").last
    assert (last.train_loss, last.train_accuracy, last.test_loss, last.test_accuracy) == (1, 0.25, 2, 0.5)


def test_a_resumed_run_trains_the_missing_epochs_only(tmp_path, monkeypatch):
    def stop(event):
        if event["event"] == "epoch" and event["epoch"] == 2:
            raise KeyboardInterrupt

    whole = train_run(run_of(), "unused")
    with pytest.raises(KeyboardInterrupt):
        train_run(run_of(), "unused", stop, checkpoint_folder=tmp_path)
    elsewhere, events = whole.environment.model_copy(update={"processor": "another"}), []
    monkeypatch.setattr(train.environment, "describe", lambda: elsewhere)
    record = train_run(run_of(), "unused", events.append, checkpoint_folder=tmp_path)
    assert [event["epoch"] for event in events if event["event"] == "epoch"] == [3]
    assert record.weights_sha256 == whole.weights_sha256
    assert [(part.from_epoch, part.environment) for part in record.resumed] == [(3, elsewhere)]


def test_other_data_than_the_sweep_was_planned_for_are_refused():
    with pytest.raises(InputError, match="the data or the code changed in between"):
        train_run(run_of(), "unused", expected_hash="0" * 64)


def test_the_optimizer_has_the_learning_rate_of_the_config():
    model = compile_model(run_of(training={"epochs": 1, "learning_rate": 0.02}))
    assert type(model.optimizer) is keras.optimizers.Adam
    assert float(model.optimizer.learning_rate) == pytest.approx(0.02)


def test_fast_forms_and_recomputation_are_in_the_model():
    plain, fast, recomputing = (
        compile_model(run_of(**fields)) for fields in ({}, {"implementation": "fast"}, {"recompute": True})
    )
    for model, is_fast in ((plain, False), (fast, True)):
        assert any("call" in vars(layer) for layer in all_sublayers(model)) == is_fast
        assert (type(model.optimizer).__name__ == "FusedAdam") == is_fast
    for model, recomputes in ((plain, False), (recomputing, True)):
        assert any(type(layer).__name__ == "_Recomputed" for layer in model.layers) == recomputes


def test_the_layers_have_the_precision_of_the_config(monkeypatch):
    models = []
    monkeypatch.setattr(train, "compile_model", lambda run: models.append(compile_model(run)) or models[0])
    try:
        train_run(run_of(training={"epochs": 1, "precision": "mixed_bfloat16"}), "unused")
    finally:
        keras.config.set_dtype_policy("float32")
    assert models[0].get_layer("block0").compute_dtype == "bfloat16"
