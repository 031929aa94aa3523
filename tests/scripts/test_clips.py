"""Experiments on recordings, as the shell calls the script: bad clips, bad metadata, and runs on two folds."""

import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml

from compactnet.data import dcase2019, urbansound8k
from compactnet.data.synthetic import generate_events, generate_scenes
from compactnet.experiments.records import read_records
from tests.scripts.calls import call

FEATURES = {"sample_rate": 8_000, "window": 256, "hop": 128, "fft": 256, "bands": 32, "seconds": 0.5}
NARROW = {
    "networks": ["xvgg8"],
    "skeletons": {"vgg8": {"padding": "same", "width": 0.125, "momentum": 0.9}},
    "training": {"epochs": 1},
    "seeds": [0],
    "threads": 1,
}


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generated")
    generate_scenes(folder, train_clips=2, test_clips=1, seconds=0.5)
    generate_events(folder, seconds=0.5)
    return folder


@pytest.fixture
def workplace(generated, tmp_path):
    """A copy of the generated clips, a config for each data set, and room for results."""
    shutil.copytree(generated, tmp_path / "data")
    for name, source in (("scenes", "dcase2019"), ("events", "urbansound8k")):
        data = {"source": source, "generated": True, "features": FEATURES}
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({"name": name, "data": data, **NARROW}))
    return tmp_path


@pytest.fixture
def reproduce(workplace, capsys):
    """Run the script on a config of the workplace and return its exit status and standard error."""

    def run(name, *arguments):
        folders = ("--data", workplace / "data", "--results", workplace / "results")
        status = call("reproduce", workplace / f"{name}.yaml", *folders, *arguments)
        return status, capsys.readouterr().err

    return run


def assert_refused(workplace, outcome, *expected):
    """One line for each of `expected`, in any order, and nothing written."""
    status, output = outcome
    assert status == 2
    lines = output.splitlines()
    assert len(lines) == len(expected), output
    assert all(line.startswith("error: ") for line in lines)
    for texts in expected:
        assert any(all(text in line for text in texts) for line in lines), (texts, output)
    assert not (workplace / "results").exists()


def scenes(workplace):
    return workplace / "data" / dcase2019.FOLDER


def clip(workplace, index):
    return sorted((scenes(workplace) / "audio").iterdir())[index]


def damage_missing(path):
    path.unlink()


def damage_truncated(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def damage_page(path):
    path.write_text("<!DOCTYPE html><html><title>404</title></html>")


def damage_empty(path):
    path.write_bytes(b"")


def damage_nan(path):
    soundfile.write(path, np.full((24_000, 2), np.nan), 48_000, subtype="FLOAT")


DAMAGES = {
    "is missing": damage_missing,
    "is truncated": damage_truncated,
    "is a web page": damage_page,
    "is empty": damage_empty,
    "not finite": damage_nan,
}


def test_a_bad_clip_is_one_line(workplace, reproduce):
    path = clip(workplace, 4)
    damage_truncated(path)
    assert_refused(workplace, reproduce("scenes"), (path.name, "is truncated", "Get it again", "--skip-bad"))


def test_all_bad_clips_are_listed_at_once(workplace, reproduce):
    expected = []
    for index, (reason, damage) in enumerate(DAMAGES.items()):
        path = clip(workplace, 3 * index)
        damage(path)
        expected.append((path.name, reason, "Get it again", "--skip-bad"))
    assert_refused(workplace, reproduce("scenes"), *expected)


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("meta.csv", "identifier", "location", ("meta.csv has no column 'identifier'", "make")),
        ("meta.csv", "\tpark\tgenerated-400", "\tforest\tgenerated-400", ("'forest'", "not in the label set")),
        ("evaluation_setup/fold1_evaluate.csv", "audio/park", "audio/lake", ("audio/lake", "which meta.csv lacks")),
        ("evaluation_setup/fold1_train.csv", "scene_label", "label", ("fold1_train.csv has no column",)),
    ],
)
def test_bad_metadata(workplace, reproduce, file, old, new, expected):
    path = scenes(workplace) / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    assert_refused(workplace, reproduce("scenes"), expected)


def test_a_duplicate_row(workplace, reproduce):
    path = workplace / "data" / urbansound8k.FOLDER / "metadata" / "UrbanSound8K.csv"
    row = path.read_text().splitlines()[7]
    path.write_text(path.read_text() + row + "\n")
    assert_refused(workplace, reproduce("events"), (row.split(",")[0], "more than once", "Remove the row"))


def test_a_missing_data_set_names_the_download(workplace, capsys, repository):
    for task, name in (("asc", dcase2019.FOLDER), ("sed", urbansound8k.FOLDER)):
        folders = ("--data", workplace / "nowhere", "--results", workplace / "results")
        status = call("reproduce", repository / "configs" / f"{task}.yaml", *folders, "--only", "mobilenet_v1_025")
        assert_refused(workplace, (status, capsys.readouterr().err), (name, f"make data-{task}"))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("data.features.window=512", "`window` must be at most `fft`"),
        ("data.features.windows=512", "Did you mean 'window'"),
        ("data.features.seconds=null", "`seconds` must say"),
        ("data.test_folds=[11]", "less than or equal to 10"),
        ("data.labels=[a]", "unknown key 'data.labels'"),
        ("data.archive=../elsewhere", "unknown key 'data.archive'"),
        ("data.storage=int8", "data.storage"),
    ],
)
def test_a_wrong_change(workplace, reproduce, change, expected):
    assert_refused(workplace, reproduce("events", "--set", change), (expected,))


def test_an_archive_outside_the_data_folder(workplace, reproduce):
    for name in ("../elsewhere", "/etc", "..", "a/b"):
        assert_refused(workplace, reproduce("scenes", "--set", f"data.archive={name}"), ("data.archive",))


@pytest.mark.slow
def test_each_fold_is_a_run_of_its_own_that_says_what_it_skipped(workplace, capsys):
    events = workplace / "data" / urbansound8k.FOLDER
    paths = sorted((events / "audio" / "fold3").iterdir())[:2]
    paths[0].write_bytes(b"")
    paths[1].unlink()
    # A recording of which clips are in the folds 2 and 5.
    metadata = pd.read_csv(events / "metadata" / "UrbanSound8K.csv", dtype=str)
    metadata.loc[~metadata["fold"].duplicated() & metadata["fold"].isin(["2", "5"]), "fsID"] = "shared"
    metadata.to_csv(events / "metadata" / "UrbanSound8K.csv", index=False)
    folders = ("--data", workplace / "data", "--results", workplace / "results")
    command = ("reproduce", workplace / "events.yaml", *folders, "--skip-bad", "--set", "data.test_folds=[2, 7]")

    assert call(*command, "--workers", "2") == 0
    output, _ = capsys.readouterr()
    # Each fold is loaded and its remarks are printed, not only those of the first.
    remarks = [line for line in output.splitlines() if " in training, " in line]
    assert len(remarks) == 2
    for line, fold, common in zip(remarks, (2, 7), ("1 of them (shared) in both", "none in both"), strict=True):
        assert line.startswith(f"UrbanSound8K, fold {fold} ")
        assert line.endswith(f"in test, {common}.")
    assert "2 runs trained, 0 skipped (already done), 0 failed." in output

    records = read_records(workplace / "results" / "records")
    assert [record.run.data.test_folds for record in records] == [(2,), (7,)]
    assert len({record.fingerprint for record in records}) == 1
    names = sorted(path.name for path in (workplace / "results" / "records" / "events").iterdir())
    assert [name.rsplit("-", 1)[0] for name in names] == ["xvgg8-fold2-seed0", "xvgg8-fold7-seed0"]
    for record in records:
        assert set(record.skipped) == {f"audio/fold3/{path.name}" for path in paths}
        assert (record.coverage["train"].used, record.coverage["train"].total) == (88, 90)
        assert record.run.data.skip_bad is True
        assert record.run.data.features.bands == 32
    text = (workplace / "results" / "generated_data.md").read_text()
    assert "98 of 100 clips" in text
    assert "UrbanSound8K layout, generated data" in text

    assert call(*command) == 0
    output, _ = capsys.readouterr()
    assert "0 runs trained, 2 skipped (already done), 0 failed." in output
