"""The two audio data sets, from generated clips in their official layouts."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest

from compactnet.data import Dcase2019, LogMelConfig, UrbanSound8K, UrbanSound8KFold, dcase2019, urbansound8k
from compactnet.data.clips import metadata_fingerprint
from compactnet.data.synthetic import generate_events, generate_scenes
from compactnet.errors import InputError

SMALL = LogMelConfig(sample_rate=8_000, window=256, hop=128, fft=256, bands=16, seconds=0.5)


def scene_data(**fields):
    return Dcase2019(**{"features": SMALL, "generated": True, **fields})


def event_data(fold=10, **fields):
    return UrbanSound8KFold(**{"features": SMALL, "generated": True, "test_folds": (fold,), **fields})


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generated")
    generate_scenes(folder, train_clips=2, test_clips=1, seconds=0.5)
    generate_events(folder, clips=1, seconds=0.5)
    scene_data().load(folder)
    event_data().load(folder)
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


def test_scenes_load_with_their_official_split(generated):
    dataset = scene_data().load(generated)
    assert dataset.sample_shape == (16, 32, 1)
    assert dataset.class_names == dcase2019.LABELS
    assert np.bincount(dataset.train.labels).tolist() == [2] * 10
    assert np.bincount(dataset.test.labels).tolist() == [1] * 10
    assert dataset.coverage == {"train": {"used": 20, "total": 20}, "test": {"used": 10, "total": 10}}
    assert dataset.generated
    assert dataset.remarks == ("20 recording locations in training, 10 in test, none in both.",)


def test_each_fold_of_events_holds_out_its_own_clips(generated):
    section = UrbanSound8K(features=SMALL, generated=True, test_folds=(10, 3))
    meta = pd.read_csv(events(generated))
    fingerprints = set()
    for number, fold in zip((10, 3), section.folds(), strict=True):
        dataset = fold.load(generated)
        assert fold.sample_shape == dataset.sample_shape == (16, 32, 1)
        assert (len(dataset.train), len(dataset.test)) == (90, 10)
        assert (meta["fold"].iloc[dataset.test.indices] == number).all()
        assert (meta["fold"].iloc[dataset.train.indices] != number).all()
        assert (meta["classID"].to_numpy()[dataset.train.indices] == dataset.train.labels).all()
        fingerprints.add(dataset.fingerprint)
    assert len(fingerprints) == 1


def test_training_folds_can_be_chosen_and_others_be_missing(folder):
    for fold in range(3, 10):
        shutil.rmtree(folder / urbansound8k.FOLDER / "audio" / f"fold{fold}")
    section = event_data(train_folds=(1, 2))
    dataset = section.load(folder)
    assert (len(dataset.train), len(dataset.test)) == (20, 10)
    assert dataset.coverage["train"] == {"used": 20, "total": 20}
    meta = pd.read_csv(events(folder))
    assert set(meta["fold"].iloc[dataset.train.indices]) == {1, 2}
    assert section.official_counts() == (873 + 888, 837)
    assert section.official_fingerprint == ""
    assert section.description == "UrbanSound8K, fold 10 as test data, folds 1 and 2 to train on"


@pytest.mark.parametrize("folds", [(10,), (1, 1), (), (11,)])
def test_training_folds_that_cannot_be_are_refused(folds):
    with pytest.raises(InputError, match="train_folds"):
        event_data(train_folds=folds)


def test_training_folds_change_a_protocol_only_where_they_are_chosen():
    assert "train_folds" not in event_data().protocol()
    assert event_data(train_folds=(1, 2)).protocol()["train_folds"] == [1, 2]


def test_a_label_that_is_listed_twice_is_refused():
    with pytest.raises(InputError, match=r"^labels: 'bus' is listed twice\.$"):
        scene_data(labels=("tram", "bus", "park", "bus"))


@pytest.mark.parametrize("folds", [(), (11,), (0,), (3, 3), ("3",), (True,)])
def test_folds_that_do_not_exist_are_refused(folds):
    with pytest.raises(InputError, match="test_folds"):
        UrbanSound8K(test_folds=folds)


def test_batches_are_z_scores_by_the_training_split(generated):
    dataset = event_data().load(generated)
    batch, labels = dataset.batch(dataset.train, np.arange(len(dataset.train)))
    assert batch.dtype == np.float32
    assert labels.dtype == np.int32
    assert batch.shape == (90, 16, 32, 1)
    np.testing.assert_allclose(batch.mean(axis=(0, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(batch.std(axis=(0, 2, 3)), 1, atol=1e-4)
    whole = event_data(normalization="global").load(generated)
    batch, _ = whole.batch(whole.train, np.arange(90))
    assert abs(batch.mean()) < 1e-4
    assert abs(batch.std() - 1) < 1e-4


def test_the_fingerprint_follows_content_labels_and_splits(folder):
    before = scene_data().load(folder).fingerprint
    clip = next(scenes(folder, "audio").iterdir())
    content = bytearray(clip.read_bytes())
    content[-1] ^= 1
    clip.write_bytes(content)
    after = scene_data().load(folder).fingerprint
    assert before.split(":")[0] == after.split(":")[0]
    assert before.split(":")[1] != after.split(":")[1]
    train = scenes(folder, "evaluation_setup/fold1_train.csv")
    train.write_text("\n".join(train.read_text().splitlines()[:-1]) + "\n")
    assert scene_data().load(folder).fingerprint.split(":")[0] != after.split(":")[0]


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
    dataset = scene_data(archive=name, labels=known).load(folder)
    assert dataset.class_names == known
    assert np.bincount(dataset.train.labels, minlength=11).tolist() == [2] * 10 + [0]
    with pytest.raises(InputError, match="'beach', which is not in the label set"):
        scene_data(archive=name).load(folder)


def test_further_columns_of_a_list_without_headings_are_ignored(folder):
    root = folder / "TUT-acoustic-scenes-2017-development"
    shutil.copytree(folder / dcase2019.FOLDER, root)
    for stem, columns in HEADLESS.items():
        table = pd.read_csv(root / f"{stem}.csv", sep="\t")
        table.iloc[:, :columns].assign(further="x").to_csv(root / f"{stem}.txt", sep="\t", header=False, index=False)
        (root / f"{stem}.csv").unlink()
    assert len(scene_data(archive=root.name).load(folder).train) == 20


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text.replace("\n", "\r\n").encode(), None),
        (lambda text: b"\xef\xbb\xbf" + text.encode(), None),
        (lambda text: text.replace("\t", ",").encode(), "has no column 'filename'"),
        (lambda text: text.replace("airport\t", "\t", 1).encode(), "has the label ''"),
        (lambda text: text.replace("airport", "a\xe9roport").encode("latin-1"), "cannot be read as a table"),
        (lambda text: b"", "cannot be read as a table"),
        (lambda text: text.replace("\n", "\tx\n").replace("\tx", "", 1).encode(), "cannot be read as a table"),
    ],
    ids=["windows", "byte order mark", "commas", "empty cell", "latin-1", "empty", "more cells than names"],
)
def test_other_encodings_of_a_table(folder, change, reason):
    path = scenes(folder, "meta.csv")
    path.write_bytes(change(path.read_text()))
    if reason is None:
        assert len(scene_data().load(folder).train) == 20
        return
    with pytest.raises(InputError, match=reason) as refusal:
        scene_data().load(folder)
    assert all("\n" not in line for line in refusal.value.lines)


def test_clips_may_be_missing_only_in_a_subset(folder):
    gone = sorted(scenes(folder, "audio").glob("bus-*"))[0]
    gone.unlink()
    with pytest.raises(InputError, match=rf"{gone.name} is missing\. Get it again") as refusal:
        scene_data().load(folder)
    assert len(refusal.value.lines) == 1
    dataset = scene_data(subset=True).load(folder)
    assert dataset.coverage["train"] == {"used": 19, "total": 20}
    assert dataset.skipped == {}


def test_a_folder_without_most_of_its_clips_is_one_problem(folder):
    for clip in sorted(scenes(folder, "audio").iterdir())[2:]:
        clip.unlink()
    with pytest.raises(
        InputError, match=r"28 of 30 clips are missing, the first is .*make.*data\.subset=true"
    ) as refusal:
        scene_data().load(folder)
    assert len(refusal.value.lines) == 1
    with pytest.raises(InputError, match="has no clips to test on"):
        scene_data(subset=True).load(folder)


def lose_the_table(root):
    (root / "meta.csv").unlink()


def cut_the_table(root):
    edit(root / "meta.csv", "filename", "file")


def lose_a_list(root):
    (root / "evaluation_setup" / "fold1_train.csv").unlink()


def lose_most_clips(root):
    for clip in sorted((root / "audio").iterdir())[2:]:
        clip.unlink()


def lose_a_fold(root):
    path = root / "evaluation_setup" / "fold1_evaluate.csv"
    path.write_text(path.read_text().splitlines()[0] + "\n")


DAMAGES = [lose_the_table, cut_the_table, lose_a_list, lose_most_clips, lose_a_fold]


@pytest.mark.parametrize("damage", DAMAGES)
def test_deleting_the_folder_as_advised_makes_the_data_whole(folder, damage):
    root = folder / dcase2019.FOLDER
    damage(root)
    with pytest.raises(InputError) as refusal:
        scene_data().load(folder)
    assert len(refusal.value.lines) == 1
    deleted, command = re.search(r"delete the folder (\S+) and run (it again|`[^`]*`)", str(refusal.value)).groups()
    assert command == "it again" or command == "`make reproduce-sample`"
    shutil.rmtree(deleted)
    generate_scenes(folder, train_clips=2, test_clips=1, seconds=0.5)  # what the command does
    assert len(scene_data().load(folder).train) == 20


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_data_set_that_no_command_downloads_is_not_said_to_be_downloaded(folder, damage):
    root = shutil.copytree(folder / dcase2019.FOLDER, folder / "other")
    (root / "generated.json").unlink()
    damage(root)
    for data_folder in (folder, folder / "nowhere"):
        with pytest.raises(InputError, match=r"Unpack the|Take it from its archive again") as refusal:
            scene_data(archive="other", generated=False).load(data_folder)
        assert "make" not in str(refusal.value)
        assert len(refusal.value.lines) == 1


def test_all_bad_clips_are_listed_at_once_and_can_be_skipped(folder):
    clips = sorted(scenes(folder, "audio").iterdir())
    reasons = {"is empty": clips[0], "is truncated": clips[5], "is a web page": clips[11], "is missing": clips[20]}
    clips[0].write_bytes(b"")
    clips[5].write_bytes(clips[5].read_bytes()[:9_000])
    clips[11].write_text("<!doctype html><title>502</title>")
    clips[20].unlink()
    with pytest.raises(InputError) as refusal:
        scene_data().load(folder)
    lines = refusal.value.lines
    assert len(lines) == 4
    for reason, clip in reasons.items():
        (line,) = (line for line in lines if clip.name in line)
        assert reason in line
        assert "--skip-bad" in line
    dataset = scene_data(skip_bad=True).load(folder)
    assert sum(split["used"] for split in dataset.coverage.values()) == 26
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
def test_wrong_metadata_of_scenes_are_refused(folder, file, old, new, reason):
    edit(scenes(folder, file), old, new)
    with pytest.raises(InputError, match=reason):
        scene_data().load(folder)


@pytest.mark.parametrize("file", ["meta.csv", "evaluation_setup/fold1_train.csv"])
def test_a_repeated_row_is_refused(folder, file):
    path = scenes(folder, file)
    row = path.read_text().splitlines()[3]
    path.write_text(path.read_text() + row + "\n")
    with pytest.raises(InputError, match=rf"{path.name} lists {row.split()[0]} more than once"):
        scene_data().load(folder)


def test_a_clip_in_both_splits_is_refused(folder):
    row = scenes(folder, "evaluation_setup/fold1_train.csv").read_text().splitlines()[2]
    path = scenes(folder, "evaluation_setup/fold1_evaluate.csv")
    path.write_text(path.read_text() + row + "\n")
    with pytest.raises(InputError, match=rf"{row.split()[0]} is in the training split as well"):
        scene_data().load(folder)


def test_a_location_in_both_splits_is_refused(folder):
    meta = pd.read_csv(scenes(folder, "meta.csv"), sep="\t")
    test = pd.read_csv(scenes(folder, "evaluation_setup/fold1_evaluate.csv"), sep="\t")["filename"]
    place = meta.loc[meta["filename"].isin(test), "identifier"].iloc[0]
    meta.loc[~meta["filename"].isin(test), "identifier"] = place
    meta.to_csv(scenes(folder, "meta.csv"), sep="\t", index=False)
    with pytest.raises(InputError, match=rf"1 recording locations are in both.*{place}"):
        scene_data().load(folder)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("classID", "class_id", r"UrbanSound8K\.csv has no column 'classID'"),
        ("siren", "sirens", r"has the label 'sirens', which is not in the label set \(air_conditioner"),
        (",1,8,siren", ",1,7,siren", r"has classID 7, and its class has 8"),
        (",1,8,siren", ",11,8,siren", r"in the fold '11'; folds are 1 to 10"),
    ],
)
def test_wrong_metadata_of_events_are_refused(folder, old, new, reason):
    edit(events(folder), old, new)
    with pytest.raises(InputError, match=reason):
        event_data().load(folder)


def test_generated_and_real_clips_are_told_apart(folder):
    for section, name in ((scene_data, dcase2019.FOLDER), (event_data, urbansound8k.FOLDER)):
        with pytest.raises(InputError, match="holds generated clips, not real ones"):
            section(generated=False).load(folder)
        (folder / name / "generated.json").unlink()
        with pytest.raises(InputError, match="holds no generated clips"):
            section().load(folder)
        with pytest.raises(InputError, match=rf"holds no {name}\. Run `make data-"):
            section(generated=False).load(folder / "nowhere")


def test_the_official_metadata_are_the_real_ones(real_data, monkeypatch):
    """9,185 and 4,185 scenes, 8,732 events; the constants that tables trust are computed from them."""
    seen = {}

    def keep(clips, section, data_folder, train, test, disjoint_groups):
        rows = clips.table[clips.table["fold"].isin([*train, *test])]
        counts = [int(clips.table["fold"].isin(folds).sum()) for folds in (train, test)]
        groups = [set(clips.table["group"][clips.table["fold"].isin(folds)]) for folds in (train, test)]
        seen[clips.source.folder.name] = metadata_fingerprint(rows), counts, len(groups[0] & groups[1])

    for module, section in ((dcase2019, Dcase2019()), (urbansound8k, UrbanSound8KFold())):
        monkeypatch.setattr(module, "load_clips", keep)
        section.load(real_data)
    assert seen[dcase2019.FOLDER] == (dcase2019.OFFICIAL_METADATA, [9_185, 4_185], 0)
    assert seen[urbansound8k.FOLDER] == (urbansound8k.OFFICIAL_METADATA, [7_895, 837], 0)


def test_real_events_load_as_the_subset_they_are(real_data, tmp_path):
    source, root = real_data / urbansound8k.FOLDER, tmp_path / urbansound8k.FOLDER
    root.mkdir()
    (root / "metadata").symlink_to(source / "metadata")
    linked = {"train": 0, "test": 0}
    for fold in sorted((source / "audio").glob("fold*")):
        (root / "audio" / fold.name).mkdir(parents=True)
        for clip in sorted(fold.glob("*.wav"))[:60]:
            (root / "audio" / fold.name / clip.name).symlink_to(clip)
            linked["test" if fold.name == "fold10" else "train"] += 1
    assert min(linked.values()) > 0
    with pytest.raises(InputError, match=rf"{8_732 - sum(linked.values()):,} of 8,732 clips are missing"):
        UrbanSound8KFold().load(tmp_path)
    dataset = UrbanSound8KFold(subset=True).load(tmp_path)
    totals = {"train": 7_895, "test": 837}
    assert dataset.coverage == {split: {"used": linked[split], "total": totals[split]} for split in totals}
    assert dataset.sample_shape == (128, 201, 1)
