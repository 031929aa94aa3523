"""Studies of clips through the script, as the shell calls it: what is wrong with them, and a run of what is right."""

import shutil

import numpy as np
import pytest
import soundfile
import yaml

from compactnet.data import dcase2019, urbansound8k
from compactnet.data.samples import generate_events, generate_scenes
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


@pytest.mark.parametrize("reason", DAMAGES)
def test_a_bad_clip(workplace, reproduce, reason):
    path = clip(workplace, 4)
    DAMAGES[reason](path)
    assert_refused(workplace, reproduce("scenes"), (path.name, reason, "Get it again", "--skip-bad"))


def test_all_bad_clips_at_once_a_line_each(workplace, reproduce):
    expected = []
    for index, (reason, damage) in enumerate(DAMAGES.items()):
        path = clip(workplace, 3 * index)
        damage(path)
        expected.append((path.name, reason))
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


def test_a_run_that_skips_says_what_it_skipped(workplace, reproduce):
    paths = sorted((workplace / "data" / urbansound8k.FOLDER / "audio" / "fold3").iterdir())[:2]
    paths[0].write_bytes(b"")
    paths[1].unlink()
    status, output = reproduce("events", "--skip-bad")
    assert status == 0, output
    (record,) = read_records(workplace / "results" / "records")
    assert set(record["skipped"]) == {f"audio/fold3/{path.name}" for path in paths}
    assert record["coverage"]["train"] == {"used": 88, "total": 90}
    assert record["protocol"]["data"]["skip_bad"] is True
    assert record["protocol"]["data"]["features"]["bands"] == 32
    (path,) = (workplace / "results" / "records" / "events").iterdir()
    assert path.name.startswith("xvgg8-fold10-seed0-")
    text = (workplace / "results" / "generated_data.md").read_text()
    assert "98 of 100 clips" in text
    assert "UrbanSound8K layout, generated data" in text


def test_each_fold_is_a_cell_of_its_own(workplace, reproduce):
    status, output = reproduce("events", "--set", "data.test_folds=[2, 7]", "--workers", "2")
    assert status == 0, output
    records = read_records(workplace / "results" / "records")
    assert sorted(record["protocol"]["data"]["test_folds"] for record in records) == [[2], [7]]
    assert len({record["protocol"]["data"]["fingerprint"] for record in records}) == 1
    status, output = reproduce("events", "--set", "data.test_folds=[2, 7]")
    assert (status, "2 of 2 cells have their record" in output) == (0, True)
