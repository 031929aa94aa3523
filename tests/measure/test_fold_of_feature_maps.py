"""Feature maps are drawn from the fold that a run was tested on."""

import numpy as np
import pytest

from compactnet.data import Dataset, Split, UrbanSound8KFold
from compactnet.errors import InputError
from compactnet.measure.feature_maps import extract_feature_maps
from compactnet.networks.weights import save_weights, weights_hash
from compactnet.schema import Experiment, RunRecord
from compactnet.validation import validate
from tests.factories import run_record

CONTENT = {
    "name": "folds",
    "data": {
        "source": "urbansound8k",
        "generated": True,
        "test_folds": [2, 7, 10],
        "features": {"sample_rate": 8_000, "window": 256, "hop": 128, "fft": 256, "bands": 16, "seconds": 0.25},
    },
    "networks": ["compact_vgg_sum_c2"],
    "skeletons": {"vgg8": {"padding": "same", "width": 0.125}},
    "training": {"epochs": 1},
    "seeds": [0],
}


@pytest.fixture
def loaded(monkeypatch):
    """The folds that are loaded; what they hold is noise, of the fold's class."""
    folds = []

    def load(fold, folder):
        folds.append(fold.test_folds)
        split = Split(np.random.default_rng(0).random((2, *fold.sample_shape), np.float32), np.array([0, 1]))
        names = (f"clip of fold {fold.test_folds[0]}", "another")
        flat = np.zeros((1, 1, 1), np.float32)
        return Dataset(split, split, names, flat, flat + 1, "fingerprint", {}, generated=True)

    monkeypatch.setattr(UrbanSound8KFold, "load", load)
    return folds


def test_the_maps_of_a_run_on_fold_7_are_those_of_a_clip_in_fold_7(loaded, tmp_path):
    (run,) = [run for run in validate(Experiment, CONTENT, "test").runs() if run.data.fold_name == "fold7"]
    model = run.build()
    save_weights(tmp_path / "weights.npz", model)
    record = run_record(run, "fingerprint", weights_sha256=weights_hash(model))
    record = RunRecord.model_validate_json(record.model_dump_json())
    shown = extract_feature_maps(record, tmp_path / "weights.npz", "nowhere")
    assert loaded == [(7,)]
    assert shown.label == "clip of fold 7"
    with pytest.raises(InputError, match="nowhere does not hold the data that the run was trained on"):
        extract_feature_maps(record.model_copy(update={"fingerprint": "other"}), tmp_path / "weights.npz", "nowhere")
