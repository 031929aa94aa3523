"""Generated clips: the official layouts, learnable, and the same every time."""

import errno
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from compactnet.data import EVENTS, log_mel, synthetic
from compactnet.data.dcase2019 import FOLDER as SCENES_FOLDER
from compactnet.data.dcase2019 import LABELS
from compactnet.data.synthetic import SOUND_FILES, generate_cifar10, generate_events, generate_scenes
from compactnet.data.urbansound8k import CLASS_NAMES
from compactnet.errors import InputError, ResourceError


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_scenes_have_the_official_layout(tmp_path):
    root = generate_scenes(tmp_path, train_clips=2, test_clips=1, seconds=0.3)
    assert root == tmp_path / SCENES_FOLDER
    meta = pd.read_csv(root / "meta.csv", sep="\t")
    assert list(meta.columns) == ["filename", "scene_label", "identifier", "source_label"]
    assert meta["scene_label"].value_counts().to_dict() == dict.fromkeys(LABELS, 3)
    for split, count in (("train", 20), ("evaluate", 10)):
        listed = pd.read_csv(root / "evaluation_setup" / f"fold1_{split}.csv", sep="\t")
        assert list(listed.columns) == ["filename", "scene_label"]
        assert len(listed) == count
        assert listed["filename"].isin(meta["filename"]).all()
    for name in meta["filename"]:
        info = soundfile.info(root / name)
        assert (info.samplerate, info.channels, info.subtype, info.frames) == (48_000, 2, "PCM_24", 14_400)


def test_every_generated_scene_has_its_own_location(tmp_path):
    root = generate_scenes(tmp_path, train_clips=90, test_clips=20, seconds=0.1)
    assert pd.read_csv(root / "meta.csv", sep="\t")["identifier"].is_unique


def test_events_have_the_official_layout_and_differ_in_everything(tmp_path):
    root = generate_events(tmp_path, clips=1, seconds=0.4)
    meta = pd.read_csv(root / "metadata" / "UrbanSound8K.csv")
    assert meta.groupby("fold")["class"].nunique().tolist() == [10] * 10
    assert (meta["class"] == meta["classID"].map(dict(enumerate(CLASS_NAMES)))).all()
    infos = [soundfile.info(root / "audio" / f"fold{row.fold}" / row.slice_file_name) for row in meta.itertuples()]
    assert {(info.samplerate, info.channels, info.format, info.subtype) for info in infos} == set(SOUND_FILES)
    lengths = [info.duration for info in infos]
    assert min(lengths) < 0.2
    assert max(lengths) < 0.45  # some encodings fill their last block
    # No class is told by its kind of file.
    for name in CLASS_NAMES:
        assert len({infos[index].subtype for index in meta.index[meta["class"] == name]}) > 3


def test_the_same_arguments_give_the_same_bytes_and_others_are_refused(tmp_path):
    for name, generate in (("scenes", generate_scenes), ("events", generate_events)):
        first, second = (generate(tmp_path / name / part, seconds=0.2) for part in ("a", "b"))
        assert contents(first) == contents(second)
        assert generate(tmp_path / name / "a", seconds=0.2) == first
        with pytest.raises(InputError, match="holds other data"):
            generate(tmp_path / name / "a", seconds=0.3)


@pytest.mark.parametrize("seed", [0, 1])
def test_two_processes_that_generate_the_same_folder_at_once(tmp_path, monkeypatch, seed):
    original, written = synthetic._write_batches, []

    def write(folder, wanted):
        monkeypatch.setattr(synthetic, "_write_batches", original)
        written.append(generate_cifar10(tmp_path, 5, 1, seed))  # the other process, which ends first
        original(folder, wanted)

    monkeypatch.setattr(synthetic, "_write_batches", write)
    if seed == 0:
        assert generate_cifar10(tmp_path, 5, 1) == written[0]
    else:
        with pytest.raises(InputError, match="holds other data"):
            generate_cifar10(tmp_path, 5, 1)
    assert list(tmp_path.iterdir()) == written
    assert all(path.is_file() for path in written[0].iterdir())


def test_classes_can_be_told_by_their_spectra(tmp_path):
    root = generate_events(tmp_path, clips=1, seconds=1.0)
    meta = pd.read_csv(root / "metadata" / "UrbanSound8K.csv")
    bands = []
    for row in meta.itertuples():
        samples, rate = soundfile.read(root / "audio" / f"fold{row.fold}" / row.slice_file_name, dtype="float32")
        bands.append(log_mel(samples, rate, EVENTS)[:, :12].mean(axis=1))
    bands = np.array(bands)
    centres = np.array([bands[(meta["classID"] == number) & (meta["fold"] < 8)].mean(axis=0) for number in range(10)])
    held_out = meta["fold"] >= 8
    nearest = np.linalg.norm(bands[held_out][:, None] - centres, axis=2).argmin(axis=1)
    assert (nearest == meta["classID"][held_out]).mean() > 0.6


@pytest.mark.parametrize(
    ("generate", "arguments", "reason"),
    [
        (generate_scenes, {"train_clips": 0}, "`train_clips`.*0"),
        (generate_scenes, {"test_clips": True}, "`test_clips`.*True"),
        (generate_events, {"clips": 1.5}, "`clips`.*1.5"),
        (generate_events, {"seconds": 0}, "`seconds`.*0"),
        (generate_events, {"seconds": "1"}, "`seconds`.*'1'"),
        (generate_scenes, {"seed": -1}, "`seed`.*-1"),
        (generate_cifar10, {"train_samples": 1_000.0}, "`train_samples`.*1000.0"),
        (generate_cifar10, {"train_samples": 7}, "`train_samples` must be a multiple of 5"),
    ],
)
def test_arguments_out_of_range_are_refused(tmp_path, generate, arguments, reason):
    with pytest.raises(InputError, match=reason):
        generate(tmp_path, **arguments)
    assert not list(tmp_path.iterdir())


def test_integers_of_numpy_are_integers(tmp_path):
    folder = generate_events(tmp_path, clips=np.int64(1), seconds=np.float32(0.5), seed=np.int64(0))
    assert generate_events(tmp_path, clips=1, seconds=0.5) == folder


def test_a_full_disk_leaves_no_clips(tmp_path, monkeypatch):
    def refuse(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(ResourceError, match="No space left on device"):
        generate_scenes(tmp_path, 1, 1, seconds=0.1)
    assert list(tmp_path.iterdir()) == []
