"""The two audio data sets, from generated clips in their official layouts."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from compactnet.data import LogMelConfig, dcase2019, urbansound8k
from compactnet.data.clips import AudioSettings, metadata_fingerprint
from compactnet.data.samples import generate_events, generate_scenes
from compactnet.errors import InputError

SMALL = LogMelConfig(sample_rate=8_000, window=256, hop=128, fft=256, bands=16, seconds=0.5)
SETTINGS = AudioSettings(SMALL, generated=True)


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generated")
    generate_scenes(folder, train_clips=2, test_clips=1, seconds=0.5)
    generate_events(folder, clips=1, seconds=0.5)
    dcase2019.load(folder, SETTINGS)
    urbansound8k.load(folder, SETTINGS)
    return folder


@pytest.fixture
def folder(generated, tmp_path):
    """A copy that a test may change, features included."""
    return shutil.copytree(generated, tmp_path / "data")


def scenes(folder, name):
    return folder / dcase2019.FOLDER / name


def events(folder):
    return folder / urbansound8k.FOLDER / "metadata" / "UrbanSound8K.csv"


def edit(path, old, new, count=1):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))


def test_scenes_load_with_their_official_sides(generated):
    dataset = dcase2019.load(generated, SETTINGS)
    assert dataset.sample_shape == (16, 32, 1)
    assert dataset.class_names == dcase2019.LABELS
    assert np.bincount(dataset.train.labels).tolist() == [2] * 10
    assert np.bincount(dataset.test.labels).tolist() == [1] * 10
    assert dataset.coverage == {"train": {"used": 20, "total": 20}, "test": {"used": 10, "total": 10}}
    assert dataset.generated
    assert dataset.remarks == ("20 recording locations in training, 10 in test, none in both.",)


@pytest.mark.parametrize("held_out", [(10,), (3,), (1, 2)])
def test_events_hold_out_the_folds_asked_for(generated, held_out):
    dataset = urbansound8k.load(generated, SETTINGS, held_out)
    assert dataset.sample_shape == (16, 32, 1)
    assert len(dataset.test) == 10 * len(held_out)
    assert len(dataset.train) == 100 - len(dataset.test)
    meta = pd.read_csv(events(generated))
    assert meta["fold"].iloc[dataset.test.rows].isin(held_out).all()
    assert not meta["fold"].iloc[dataset.train.rows].isin(held_out).any()
    assert (meta["classID"].to_numpy()[dataset.train.rows] == dataset.train.labels).all()
    assert dataset.fingerprint == urbansound8k.load(generated, SETTINGS).fingerprint


@pytest.mark.parametrize("held_out", [(), (11,), (0,), tuple(range(1, 11))])
def test_folds_that_are_none_are_refused(generated, held_out):
    with pytest.raises(InputError, match="test_folds"):
        urbansound8k.load(generated, SETTINGS, held_out)


def test_batches_are_z_scores_by_the_training_side(generated):
    dataset = urbansound8k.load(generated, SETTINGS)
    batch, labels = dataset.batch(dataset.train, np.arange(len(dataset.train)))
    assert batch.dtype == np.float32
    assert labels.dtype == np.int32
    assert batch.shape == (90, 16, 32, 1)
    np.testing.assert_allclose(batch.mean(axis=(0, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(batch.std(axis=(0, 2, 3)), 1, atol=1e-4)
    whole = urbansound8k.load(generated, replace(SETTINGS, normalization="global"))
    batch, _ = whole.batch(whole.train, np.arange(90))
    assert abs(batch.mean()) < 1e-4
    assert abs(batch.std() - 1) < 1e-4


def test_the_fingerprint_follows_content_labels_and_sides(folder):
    before = dcase2019.load(folder, SETTINGS).fingerprint
    clip = next(scenes(folder, "audio").iterdir())
    content = bytearray(clip.read_bytes())
    content[-1] ^= 1
    clip.write_bytes(content)
    after = dcase2019.load(folder, SETTINGS).fingerprint
    assert before.split(":")[0] == after.split(":")[0]
    assert before.split(":")[1] != after.split(":")[1]
    train = scenes(folder, "evaluation_setup/fold1_train.csv")
    train.write_text("\n".join(train.read_text().splitlines()[:-1]) + "\n")
    assert dcase2019.load(folder, SETTINGS).fingerprint.split(":")[0] != after.split(":")[0]


HEADLESS = {"meta": 3, "evaluation_setup/fold1_train": 2, "evaluation_setup/fold1_evaluate": 2}
"""The lists that some data sets have as .txt without headings, and how many columns they have."""


@pytest.mark.parametrize(
    ("name", "headless"),
    [
        ("TUT-acoustic-scenes-2017-development", list(HEADLESS)),
        ("TUT-urban-acoustic-scenes-2018-development", list(HEADLESS)[1:]),
        ("TAU-urban-acoustic-scenes-2020-mobile-development", []),
    ],
)
def test_other_sets_of_the_layout_load_with_their_labels(folder, name, headless):
    root = folder / name
    shutil.copytree(folder / dcase2019.FOLDER, root)
    labels = dict(zip(dcase2019.LABELS, ("beach", "cafe/restaurant", *dcase2019.LABELS[2:]), strict=True))
    for stem, columns in HEADLESS.items():
        table = pd.read_csv(root / f"{stem}.csv", sep="\t")
        table["scene_label"] = table["scene_label"].map(labels)
        table.to_csv(root / f"{stem}.csv", sep="\t", index=False)
        if stem in headless:
            table.iloc[:, :columns].to_csv(root / f"{stem}.txt", sep="\t", header=False, index=False)
            (root / f"{stem}.csv").unlink()
    known = (*labels.values(), "forest_path")
    dataset = dcase2019.load(folder, SETTINGS, archive=name, labels=known)
    assert dataset.class_names == known
    assert np.bincount(dataset.train.labels, minlength=11).tolist() == [2] * 10 + [0]
    with pytest.raises(InputError, match="'beach', which is not in the label set"):
        dcase2019.load(folder, SETTINGS, archive=name)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text.replace("\n", "\r\n").encode(), None),
        (lambda text: b"\xef\xbb\xbf" + text.encode(), None),
        (lambda text: text.replace("\t", ",").encode(), "has no column 'filename'"),
        (lambda text: text.replace("airport\t", "\t", 1).encode(), "has the label ''"),
        (lambda text: text.replace("airport", "a\xe9roport").encode("latin-1"), "cannot be read as a table"),
        (lambda text: b"", "cannot be read as a table"),
    ],
    ids=["windows", "byte order mark", "commas", "empty cell", "latin-1", "empty"],
)
def test_odd_ways_to_write_a_table(folder, change, reason):
    path = scenes(folder, "meta.csv")
    path.write_bytes(change(path.read_text()))
    if reason is None:
        assert len(dcase2019.load(folder, SETTINGS).train) == 20
        return
    with pytest.raises(InputError, match=reason) as refusal:
        dcase2019.load(folder, SETTINGS)
    assert all("\n" not in line for line in refusal.value.lines)


def test_clips_may_be_missing_only_where_that_is_said(folder):
    gone = sorted(scenes(folder, "audio").glob("bus-*"))[0]
    gone.unlink()
    with pytest.raises(InputError, match=rf"{gone.name} is missing\. Get it again") as refusal:
        dcase2019.load(folder, SETTINGS)
    assert len(refusal.value.lines) == 1
    dataset = dcase2019.load(folder, replace(SETTINGS, subset=True))
    assert dataset.coverage["train"] == {"used": 19, "total": 20}
    assert dataset.skipped == {}


def test_a_folder_without_most_of_its_clips_is_told_from_damage(folder):
    for clip in sorted(scenes(folder, "audio").iterdir())[2:]:
        clip.unlink()
    with pytest.raises(
        InputError, match=r"28 of 30 clips are missing, the first is .*make.*data\.subset=true"
    ) as refusal:
        dcase2019.load(folder, SETTINGS)
    assert len(refusal.value.lines) == 1
    with pytest.raises(InputError, match="holds no clips to test on"):
        dcase2019.load(folder, replace(SETTINGS, subset=True))


def test_all_bad_clips_are_listed_at_once_and_can_be_skipped(folder):
    clips = sorted(scenes(folder, "audio").iterdir())
    reasons = {"is empty": clips[0], "is truncated": clips[5], "is a web page": clips[11], "is missing": clips[20]}
    clips[0].write_bytes(b"")
    clips[5].write_bytes(clips[5].read_bytes()[:9_000])
    clips[11].write_text("<!doctype html><title>502</title>")
    clips[20].unlink()
    with pytest.raises(InputError) as refusal:
        dcase2019.load(folder, SETTINGS)
    lines = refusal.value.lines
    assert len(lines) == 4
    for reason, clip in reasons.items():
        (line,) = (line for line in lines if clip.name in line)
        assert reason in line
        assert "--skip-bad" in line
    dataset = dcase2019.load(folder, replace(SETTINGS, skip_bad=True))
    assert sum(side["used"] for side in dataset.coverage.values()) == 26
    assert {name.split("/")[1] for name in dataset.skipped} == {clip.name for clip in reasons.values()}


@pytest.mark.parametrize(
    ("file", "old", "new", "reason"),
    [
        ("meta.csv", "scene_label", "label", r"meta\.csv has no column 'scene_label'; it has filename, label"),
        ("meta.csv", "identifier", "place", r"no column 'identifier'"),
        ("meta.csv", "\tbus\t", "\tferry\t", r"has the label 'ferry', which is not in the label set \(airport"),
        ("meta.csv", "audio/bus", "../bus", r"names the file '\.\./bus"),
        ("evaluation_setup/fold1_train.csv", "filename", "file", r"fold1_train\.csv has no column 'filename'"),
        ("evaluation_setup/fold1_train.csv", "audio/bus", "audio/car", r"names audio/car.*, which meta\.csv lacks"),
        ("evaluation_setup/fold1_train.csv", "\tbus", "\ttram", r"is 'tram', and 'bus' in meta\.csv"),
    ],
)
def test_metadata_of_scenes_that_are_wrong_are_refused(folder, file, old, new, reason):
    edit(scenes(folder, file), old, new)
    with pytest.raises(InputError, match=reason):
        dcase2019.load(folder, SETTINGS)


@pytest.mark.parametrize("file", ["meta.csv", "evaluation_setup/fold1_train.csv"])
def test_a_row_that_stands_twice_is_refused(folder, file):
    path = scenes(folder, file)
    row = path.read_text().splitlines()[3]
    path.write_text(path.read_text() + row + "\n")
    with pytest.raises(InputError, match=rf"{path.name} lists {row.split()[0]} more than once"):
        dcase2019.load(folder, SETTINGS)


def test_a_clip_on_both_sides_is_refused(folder):
    row = scenes(folder, "evaluation_setup/fold1_train.csv").read_text().splitlines()[2]
    path = scenes(folder, "evaluation_setup/fold1_evaluate.csv")
    path.write_text(path.read_text() + row + "\n")
    with pytest.raises(InputError, match=rf"{row.split()[0]} is in the training side as well"):
        dcase2019.load(folder, SETTINGS)


def test_a_location_on_both_sides_is_refused(folder):
    meta = pd.read_csv(scenes(folder, "meta.csv"), sep="\t")
    test = pd.read_csv(scenes(folder, "evaluation_setup/fold1_evaluate.csv"), sep="\t")["filename"]
    place = meta.loc[meta["filename"].isin(test), "identifier"].iloc[0]
    meta.loc[~meta["filename"].isin(test), "identifier"] = place
    meta.to_csv(scenes(folder, "meta.csv"), sep="\t", index=False)
    with pytest.raises(InputError, match=rf"1 recording locations stand both.*{place}"):
        dcase2019.load(folder, SETTINGS)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("classID", "class_id", r"UrbanSound8K\.csv has no column 'classID'"),
        ("siren", "sirens", r"has the label 'sirens', which is not in the label set \(air_conditioner"),
        (",1,8,siren", ",1,7,siren", r"has classID 7, and its class has 8"),
        (",1,8,siren", ",11,8,siren", r"in the fold '11'; folds are 1 to 10"),
    ],
)
def test_metadata_of_events_that_are_wrong_are_refused(folder, old, new, reason):
    edit(events(folder), old, new)
    with pytest.raises(InputError, match=reason):
        urbansound8k.load(folder, SETTINGS)


def test_generated_and_real_clips_are_told_apart(folder):
    for load, name in ((dcase2019.load, dcase2019.FOLDER), (urbansound8k.load, urbansound8k.FOLDER)):
        with pytest.raises(InputError, match="holds generated clips, no real ones"):
            load(folder, replace(SETTINGS, generated=False))
        (folder / name / "generated.json").unlink()
        with pytest.raises(InputError, match="holds no generated clips"):
            load(folder, SETTINGS)
        with pytest.raises(InputError, match=rf"holds no {name}\. Run `make data-"):
            load(folder / "nowhere", replace(SETTINGS, generated=False))


def test_the_official_metadata_are_the_real_ones(real_data, monkeypatch):
    """9,185 and 4,185 scenes, 8,732 events; the constants that tables trust are computed from them."""
    seen = {}

    def keep(clips, settings, store_folder, train, test, origins_apart):
        rows = clips.table[clips.table["division"].isin([*train, *test])]
        sides = [int(clips.table["division"].isin(divisions).sum()) for divisions in (train, test)]
        origins = [set(clips.table["origin"][clips.table["division"].isin(side)]) for side in (train, test)]
        seen[clips.folder.name] = metadata_fingerprint(rows), sides, len(origins[0] & origins[1])

    for module in (dcase2019, urbansound8k):
        monkeypatch.setattr(module, "load_clips", keep)
        module.load(real_data)
    assert seen[dcase2019.FOLDER] == (dcase2019.OFFICIAL_METADATA, [9_185, 4_185], 0)
    assert seen[urbansound8k.FOLDER] == (urbansound8k.OFFICIAL_METADATA, [7_895, 837], 0)


def test_real_events_load_as_the_subset_they_are(real_data, tmp_path):
    root = tmp_path / urbansound8k.FOLDER
    root.mkdir()
    (root / "metadata").symlink_to(real_data / urbansound8k.FOLDER / "metadata")
    (root / "audio").symlink_to(real_data / urbansound8k.FOLDER / "audio")
    with pytest.raises(InputError, match=r"7,772 of 8,732 clips are missing"):
        urbansound8k.load(tmp_path)
    dataset = urbansound8k.load(tmp_path, AudioSettings(urbansound8k.FEATURES, subset=True))
    assert dataset.coverage == {"train": {"used": 640, "total": 7_895}, "test": {"used": 320, "total": 837}}
    assert dataset.sample_shape == (128, 201, 1)
