"""Stores of features: what they hold, and that neither a kill, a full disk nor a second process damages one."""

import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import librosa
import numpy as np
import pandas as pd
import pytest
import soundfile

from compactnet.data import LogMelConfig, feature_store, feature_worker, log_mel
from compactnet.data.feature_store import COLUMNS, FeatureStore
from compactnet.errors import InputError, ResourceError
from compactnet.files import file_lock
from tests.data.clips import SMALL, contents, write_clips
from tests.disks import fill, small_disk

FILLER = """
import json, sys
import numpy as np
from compactnet.data import LogMelConfig
from compactnet.data.feature_store import FeatureStore
job = json.loads(sys.argv[1])
store = FeatureStore(job["folder"], "clips", job["audio"], job["clips"], LogMelConfig(**job["config"]))
problems = store.fill(np.arange(len(job["clips"])), processes=job["processes"])
sys.exit(1 if problems else 0)
"""


def filler(folder, audio, clips, processes):
    """Start a process that fills a store with all clips; what it starts shares its standard error."""
    job = {
        "folder": str(folder),
        "audio": str(audio),
        "clips": clips,
        "config": SMALL.model_dump(),
        "processes": processes,
    }
    return subprocess.Popen([sys.executable, "-c", FILLER, json.dumps(job)], stderr=subprocess.PIPE, text=True)


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


@pytest.fixture(scope="module")
def audio(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audio")
    return folder, write_clips(folder, 30)


def small_store(tmp_path, audio, **options):
    return FeatureStore(tmp_path / "features", "clips", *audio, **{"config": SMALL, **options})


@pytest.fixture(scope="module")
def filled(tmp_path_factory, audio):
    """A store with all rows; tests do not change it."""
    store = small_store(tmp_path_factory.mktemp("filled"), audio)
    assert store.fill(np.arange(30), processes=1) == {}
    return store


@pytest.fixture
def copied(filled, audio, tmp_path):
    """A copy of it that a test may change."""
    store = small_store(tmp_path, audio)
    shutil.copytree(filled.folder, store.folder)
    return store


def test_rows_are_the_log_mel_of_their_clips(filled, audio):
    assert filled.features.shape == (30, 16, 13)
    for row in (0, 17, 29):
        samples, rate = soundfile.read(audio[0] / audio[1][row], dtype="float32")
        np.testing.assert_array_equal(filled.features[row], log_mel(samples, rate, SMALL))


def test_half_precision_is_a_choice(tmp_path, audio, filled):
    half = small_store(tmp_path, audio, storage="float16")
    assert half.folder.name != filled.folder.name
    half.fill(np.arange(4))
    assert half.features.dtype == np.float16
    np.testing.assert_allclose(half.features[:4], filled.features[:4], atol=0.04)


def test_each_config_and_each_list_of_clips_has_a_store_of_its_own(tmp_path, audio):
    others = [
        small_store(tmp_path, audio),
        small_store(tmp_path, audio, config=SMALL.model_copy(update={"hop": 100})),
        small_store(tmp_path, audio, config=SMALL.model_copy(update={"backend": "librosa"})),
        small_store(tmp_path, (audio[0], audio[1][:-1])),
    ]
    assert len({store.folder for store in others}) == len(others)
    assert small_store(tmp_path, audio).folder == others[0].folder


def test_only_the_wanted_rows_are_filled_and_none_twice(tmp_path, audio):
    store = small_store(tmp_path, audio)
    store.fill(np.array([3, 5]))
    before = (store.folder / "index.csv").stat().st_mtime_ns
    store.fill(np.array([5, 3]))
    assert (store.folder / "index.csv").stat().st_mtime_ns == before
    assert pd.read_csv(store.folder / "index.csv")["row"].tolist() == [3, 5]
    assert not store.features[4].any()
    store.fill(np.array([4]))
    index = pd.read_csv(store.folder / "index.csv")
    assert index["row"].tolist() == [3, 4, 5]
    assert index["clip"].tolist() == [audio[1][row] for row in (3, 4, 5)]
    assert store.features[4].any()


def test_a_clip_that_changed_is_computed_again(tmp_path, audio, copied):
    folder, clips = audio
    shutil.copytree(folder, tmp_path / "changed")
    soundfile.write(tmp_path / "changed" / clips[1], np.linspace(-0.5, 0.5, 900), 8_000)
    before, first = copied.features[:].copy(), copied.checksums(np.arange(30))
    store = small_store(tmp_path, (tmp_path / "changed", clips))
    store.fill(np.arange(30))
    changed = [row == 1 for row in range(30)]
    assert [not np.array_equal(store.features[row], before[row]) for row in range(30)] == changed
    assert (store.checksums(np.arange(30)) != first).tolist() == changed


def test_bad_clips_are_all_reported_and_the_others_kept(tmp_path):
    clips = write_clips(tmp_path, 10)
    (tmp_path / clips[1]).write_bytes(b"")
    (tmp_path / clips[2]).write_bytes((tmp_path / clips[2]).read_bytes()[:300])
    (tmp_path / clips[4]).write_text("<html>not found</html>")
    soundfile.write(tmp_path / clips[5], np.array([0.1] * 500 + [np.nan]), 8_000, subtype="FLOAT")
    (tmp_path / clips[6]).unlink()
    soundfile.write(tmp_path / clips[8], np.full(500, 1e25), 8_000, subtype="FLOAT")
    content = (tmp_path / clips[9]).read_bytes()
    (tmp_path / clips[9]).write_bytes(content[:24] + struct.pack("<I", 1) + content[28:])
    store = small_store(tmp_path, (tmp_path, clips))
    problems = store.fill(np.arange(10))
    expected = {1: "empty", 2: "truncated", 4: "web page", 5: "not finite", 6: "missing", 8: "too large", 9: "1 Hz"}
    assert list(problems) == list(expected)
    for row, words in expected.items():
        assert words in problems[row]
    assert pd.read_csv(store.folder / "index.csv")["row"].tolist() == [0, 3, 7]
    write_clips(tmp_path, 10)
    assert store.fill(np.arange(10)) == {}


@pytest.mark.parametrize(
    ("name", "outcome", "reason"),
    [
        ("decode", ValueError("array is too big."), r"^cannot be used: array is too big\.$"),
        ("decode", MemoryError(), r"^cannot be used: MemoryError\.$"),
        ("log_mel", MemoryError("Unable to allocate 3 TiB"), r"^cannot be used: Unable to allocate 3 TiB\.$"),
        ("log_mel", librosa.ParameterError("no audio"), r"^cannot be used: no audio\.$"),
        ("log_mel", InputError("it is a whisper."), r"^cannot be used: it is a whisper\.$"),
        ("log_mel", np.zeros((16, 12), np.float32), r"the shape \(16, 12\), and the store's \(16, 13\)\.$"),
    ],
)
def test_whatever_a_clip_does_is_its_own_problem(tmp_path, monkeypatch, name, outcome, reason):
    (clip,) = write_clips(tmp_path, 1)

    def happen(*arguments):
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(feature_worker, name, happen)
    with pytest.raises(InputError, match=reason):
        feature_worker.compute_features(tmp_path / clip, SMALL, "float32")


def test_statistics_are_those_of_the_rows_and_are_kept(copied):
    store = copied
    rows = np.array([2, 3, 11, 29])
    for per_band, axes in ((True, (0, 2)), (False, (0, 1, 2))):
        mean, std = store.statistics(rows, per_band)
        chosen = store.features[rows].astype(np.float64)
        np.testing.assert_allclose(mean.ravel(), np.ravel(chosen.mean(axis=axes)), rtol=1e-5)
        np.testing.assert_allclose(std.ravel(), np.ravel(chosen.std(axis=axes)), rtol=1e-5)
        again = store.statistics(rows, per_band)
        np.testing.assert_array_equal(again, (mean, std))
        assert again[0].shape == mean.shape == ((16, 1, 1) if per_band else (1, 1, 1))
    assert len(list(store.folder.glob("statistics-*.json"))) == 2
    store.statistics(np.array([2, 3]))
    assert len(list(store.folder.glob("statistics-*.json"))) == 3


@pytest.mark.parametrize("content", ["", "null", "[]", "{}", '{"mean": [1], "std": [1]}', '{"mean": null, "std": [1]}'])
def test_damaged_statistics_are_computed_again(copied, content):
    rows = np.array([2, 3, 11])
    mean, std = copied.statistics(rows)
    (kept,) = copied.folder.glob("statistics-*.json")
    whole = kept.read_text()
    kept.write_text(content)
    np.testing.assert_array_equal(copied.statistics(rows), (mean, std))
    assert kept.read_text() == whole


def cut_in_the_middle(array):
    array.truncate(500)


def empty(array):
    array.truncate(0)


def end_the_header_early(array):
    array.seek(40)
    array.write(b"(" * 20)


@pytest.mark.parametrize("damage", [cut_in_the_middle, empty, end_the_header_early])
def test_a_damaged_array_is_computed_again(filled, copied, damage):
    with (copied.folder / "features.npy").open("r+b") as array:
        damage(array)
    copied.fill(np.arange(5))
    np.testing.assert_array_equal(copied.features[:5], filled.features[:5])


def test_rows_that_differ_from_their_line_in_the_journal_are_computed_again(filled, copied):
    # As after a power failure: the journal reached the disk, a row did not.
    journal = pd.read_csv(copied.folder / "index.csv")[list(COLUMNS)]
    (copied.folder / "index.csv").unlink()
    text = journal.to_csv(index=False, header=False, lineterminator="\n")
    (copied.folder / "journal.csv").write_text(text + "3,12")
    with (copied.folder / "features.npy").open("r+b") as array:
        array.seek(-26 * 16 * 13 * 4, os.SEEK_END)
        array.write(bytes(50))
    copied.fill(np.arange(30))
    assert contents(copied.folder) == contents(filled.folder)


def test_a_row_that_differs_is_not_made_valid_by_a_fill_of_other_rows(filled, copied):
    journal = pd.read_csv(copied.folder / "index.csv")[list(COLUMNS)]
    (copied.folder / "index.csv").unlink()
    text = journal[journal["row"] < 4].to_csv(index=False, header=False, lineterminator="\n")
    (copied.folder / "journal.csv").write_text(text + "40,1,2,3,4\n")  # the data set has 30 clips
    with (copied.folder / "features.npy").open("r+b") as array:
        array.seek(-27 * 16 * 13 * 4, os.SEEK_END)
        array.write(bytes(50))
    copied.fill(np.array([0, 1, 8]))
    assert pd.read_csv(copied.folder / "index.csv")["row"].tolist() == [0, 1, 2, 8]
    copied.fill(np.arange(30))
    assert contents(copied.folder) == contents(filled.folder)


def test_a_folder_that_cannot_be_written_is_named(tmp_path, audio):
    (tmp_path / "features").write_text("in the way")
    with pytest.raises(ResourceError, match=r"feature store .*features") as refusal:
        small_store(tmp_path, audio).fill(np.arange(3))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("options", "reason"), [({"storage": "int8"}, "`storage`"), ({"config": LogMelConfig(seconds=None)}, "`seconds`")]
)
def test_options_out_of_range_are_refused(tmp_path, audio, options, reason):
    with pytest.raises(InputError, match=reason):
        small_store(tmp_path, audio, **options)


def test_rows_and_processes_out_of_range_are_refused(filled):
    with pytest.raises(InputError, match="`processes` must be an integer of at least 1"):
        filled.fill([0], processes=-1)
    for rows in ([30], [-1], [0.5], np.arange(30) < 3, [[0]]):
        with pytest.raises(InputError, match="`rows` must be a list of integers from 0 to 29"):
            filled.fill(rows)
    assert filled.fill([]) == {}


def test_rows_that_are_not_filled_have_no_statistics(tmp_path, audio):
    store = small_store(tmp_path, audio)
    store.fill([0, 1], processes=1)
    for figures in (store.statistics, store.checksums):
        with pytest.raises(InputError, match=r"These rows hold no features: \[2, 5\]\. Fill them first"):
            figures(np.array([1, 2, 5]))


def test_statistics_need_no_store_that_can_be_written(copied, filled, monkeypatch):
    def refuse(path, text):
        raise InputError(f"Cannot write {path}")

    monkeypatch.setattr(feature_store, "write_text", refuse)
    np.testing.assert_array_equal(copied.statistics(np.arange(3)), filled.statistics(np.arange(3)))


def test_clips_from_before_1970_are_kept(tmp_path):
    soundfile.write(tmp_path / "old.wav", np.sin(np.arange(8_000)), 8_000)
    os.utime(tmp_path / "old.wav", (-3_600, -3_600))
    store = FeatureStore(tmp_path / "features", "clips", tmp_path, [Path("old.wav")], SMALL)
    assert store.fill([0], processes=1) == {}
    assert len(store.checksums([0])) == 1
    index = store.folder / feature_store.INDEX
    index.write_bytes(index.read_bytes() + b"\xff\n")
    assert len(store.checksums([0])) == 1


def test_a_worker_that_dies_is_reported_and_finished_rows_are_kept(tmp_path, audio, copied, monkeypatch):
    index = copied.folder / "index.csv"
    index.write_text("".join(index.read_text().splitlines(keepends=True)[:3]))
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(ResourceError, match=r"ended with status 1.*run again"):
        copied.fill(np.arange(6))
    assert copied.fill(np.arange(2)) == {}
    monkeypatch.undo()
    assert copied.fill(np.arange(6)) == {}
    assert pd.read_csv(index)["row"].tolist() == list(range(6))


def test_processes_that_fill_one_store_wait_for_each_other(tmp_path, audio, filled):
    store = small_store(tmp_path, audio)
    with file_lock(store.folder / "lock"):
        both = [filler(tmp_path / "features", *audio, processes=1) for _ in range(2)]
        for process in both:
            assert any("waiting for it" in line for line in iter(process.stderr.readline, ""))
    for process in both:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    assert contents(store.folder) == contents(filled.folder)


def fill_with_kills(store, folder, clips, kills):
    """Fill a store by processes that are killed, each at another moment, and one that is not; check each step.

    The last clip is a pipe that stays empty until the kill, so that no process finishes before it is killed.
    """
    last, pipe = folder / "last.wav", folder / clips[-1]
    shutil.move(pipe, last)
    moments = random.Random(7)
    journal = store.folder / "journal.csv"
    for _ in range(kills):
        target = len(lines(journal)) + moments.randint(1, len(clips) // (2 * kills))
        os.mkfifo(pipe)
        held_open = os.open(pipe, os.O_RDWR)
        process = filler(store.folder.parent, folder, clips, processes=2)
        while len(lines(journal)) < target:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.002)
        process.kill()
        pipe.unlink()
        os.close(held_open)
        # Returns when the processes that it started have ended too, which they do without being told.
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        rows = [line.split(",")[0] for line in lines(journal)]
        assert len(rows) == len(set(rows)), "a finished clip was computed again"
        assert not (store.folder / "index.csv").exists()
    shutil.move(last, pipe)
    assert store.fill(np.arange(len(clips))) == {}


def test_a_kill_loses_only_the_clips_in_progress(tmp_path, audio, filled):
    folder, clips = audio
    store = small_store(tmp_path, (shutil.copytree(folder, tmp_path / "audio"), clips))
    fill_with_kills(store, tmp_path / "audio", clips, kills=1)
    assert contents(store.folder) == contents(filled.folder)


@pytest.mark.slow
def test_twenty_kills_at_random_moments(tmp_path):
    clips = write_clips(tmp_path / "audio", 1_500)
    store, whole = (small_store(tmp_path / name, (tmp_path / "audio", clips)) for name in ("killed", "whole"))
    fill_with_kills(store, tmp_path / "audio", clips, kills=20)
    whole.fill(np.arange(1_500))
    assert contents(store.folder) == contents(whole.folder)


def test_a_full_disk_is_one_line_and_the_fill_continues_when_there_is_space(tmp_path, audio, filled):
    rows = np.arange(30)
    with small_disk(tmp_path / "disk", megabytes=1) as disk:
        store = small_store(disk, audio)
        store.fill(rows[:2])
        before = store.features[:2].copy()
        fill(disk, leave=9_000)
        with pytest.raises(ResourceError, match="No space left on device") as refusal:
            store.fill(rows)
        assert len(refusal.value.lines) == 1
        np.testing.assert_array_equal(store.features[:2], before)
        (disk / "ballast").unlink()
        assert store.fill(rows) == {}
        np.testing.assert_array_equal(store.features, filled.features)
        assert not list(disk.rglob("*.partial"))
