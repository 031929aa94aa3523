import contextlib
import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import soundfile

from compactnet.data import LogMelConfig, log_mel
from compactnet.data.feature_store import COLUMNS, FeatureStore
from compactnet.errors import InputError
from tests.data.clips import SMALL, contents, write_clips
from tests.disks import fill, small_disk

FILLER = """
import json, sys
import numpy as np
from compactnet.data import LogMelConfig
from compactnet.data.feature_store import FeatureStore
job = json.loads(sys.argv[1])
store = FeatureStore(job["folder"], "clips", job["audio"], job["clips"], LogMelConfig(**job["config"]))
print(store.folder, flush=True)
problems = store.fill(np.arange(len(job["clips"])), processes=2)
sys.exit(1 if problems else 0)
"""


def filler(folder, audio, clips):
    """Start a process that fills a store of all clips, the leader of a process group."""
    job = {"folder": str(folder), "audio": str(audio), "clips": clips, "config": dataclasses.asdict(SMALL)}
    return subprocess.Popen(
        [sys.executable, "-c", FILLER, json.dumps(job)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process):
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return output, errors


def lines(path):
    return path.read_text().splitlines() if path and path.exists() else []


@pytest.fixture(scope="module")
def audio(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audio")
    return folder, write_clips(folder, 30)


def small_store(tmp_path, audio, **options):
    return FeatureStore(tmp_path / "features", "clips", *audio, **{"config": SMALL, **options})


def test_rows_are_the_log_mel_of_their_clips(tmp_path, audio):
    store = small_store(tmp_path, audio)
    assert store.fill(np.arange(30)) == {}
    assert store.features.shape == (30, 16, 13)
    for row in (0, 17, 29):
        samples, rate = soundfile.read(audio[0] / audio[1][row], dtype="float32")
        np.testing.assert_array_equal(store.features[row], log_mel(samples, rate, SMALL))


def test_half_precision_is_a_choice(tmp_path, audio):
    whole, half = small_store(tmp_path, audio), small_store(tmp_path, audio, storage="float16")
    assert whole.folder != half.folder
    for store in (whole, half):
        store.fill(np.arange(4))
    assert half.features.dtype == np.float16
    np.testing.assert_allclose(half.features[:4], whole.features[:4], atol=0.04)


def test_each_config_and_each_list_of_clips_has_a_store_of_its_own(tmp_path, audio):
    others = [
        small_store(tmp_path, audio),
        small_store(tmp_path, audio, config=dataclasses.replace(SMALL, hop=100)),
        small_store(tmp_path, audio, config=dataclasses.replace(SMALL, backend="librosa")),
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


def test_a_clip_that_changed_is_computed_again(tmp_path):
    clips = write_clips(tmp_path, 3)
    store = small_store(tmp_path, (tmp_path, clips))
    store.fill(np.arange(3))
    before = store.features[:].copy()
    first = store.checksums(np.arange(3))
    soundfile.write(tmp_path / clips[1], np.linspace(-0.5, 0.5, 900), 8_000)
    store.fill(np.arange(3))
    changed = [not np.array_equal(store.features[row], before[row]) for row in range(3)]
    assert changed == [False, True, False]
    assert (store.checksums(np.arange(3)) != first).tolist() == [False, True, False]


def test_bad_clips_are_all_named_and_the_others_kept(tmp_path):
    clips = write_clips(tmp_path, 8)
    (tmp_path / clips[1]).write_bytes(b"")
    (tmp_path / clips[2]).write_bytes((tmp_path / clips[2]).read_bytes()[:300])
    (tmp_path / clips[4]).write_text("<html>not found</html>")
    soundfile.write(tmp_path / clips[5], np.array([0.1] * 500 + [np.nan]), 8_000, subtype="FLOAT")
    (tmp_path / clips[6]).unlink()
    store = small_store(tmp_path, (tmp_path, clips))
    problems = store.fill(np.arange(8))
    assert list(problems) == [1, 2, 4, 5, 6]
    for row, words in {1: "empty", 2: "truncated", 4: "web page", 5: "not finite", 6: "missing"}.items():
        assert words in problems[row]
    assert pd.read_csv(store.folder / "index.csv")["row"].tolist() == [0, 3, 7]
    write_clips(tmp_path, 8)
    assert store.fill(np.arange(8)) == {}


def test_statistics_are_those_of_the_rows_and_are_kept(tmp_path, audio):
    store = small_store(tmp_path, audio)
    store.fill(np.arange(30))
    rows = np.array([2, 3, 11, 29])
    for per_band, axes in ((True, (0, 2)), (False, (0, 1, 2))):
        mean, deviation = store.statistics(rows, per_band)
        chosen = store.features[rows].astype(np.float64)
        np.testing.assert_allclose(mean.ravel(), np.ravel(chosen.mean(axis=axes)), rtol=1e-5)
        np.testing.assert_allclose(deviation.ravel(), np.ravel(chosen.std(axis=axes)), rtol=1e-5)
        again = store.statistics(rows, per_band)
        np.testing.assert_array_equal(again, (mean, deviation))
        assert again[0].shape == mean.shape == ((16, 1, 1) if per_band else (1, 1, 1))
    assert len(list(store.folder.glob("statistics-*.json"))) == 2
    store.statistics(np.array([2, 3]))
    assert len(list(store.folder.glob("statistics-*.json"))) == 3


def test_a_damaged_array_is_made_anew(tmp_path, audio):
    store = small_store(tmp_path, audio)
    store.fill(np.arange(5))
    expected = store.features[:5].copy()
    with (store.folder / "features.npy").open("r+b") as array:
        array.truncate(500)
    store.fill(np.arange(5))
    np.testing.assert_array_equal(store.features[:5], expected)


def test_rows_that_do_not_hold_what_the_journal_says_are_done_again(tmp_path, audio):
    # As after a power failure: the journal reached the disk, a row did not.
    store = small_store(tmp_path, audio)
    store.fill(np.arange(5))
    expected = contents(store.folder)
    journal = pd.read_csv(store.folder / "index.csv")[list(COLUMNS)]
    (store.folder / "index.csv").unlink()
    text = journal.to_csv(index=False, header=False, lineterminator="\n")
    (store.folder / "journal.csv").write_text(text + "3,12")
    with (store.folder / "features.npy").open("r+b") as array:
        array.seek(-26 * 16 * 13 * 4, os.SEEK_END)
        array.write(bytes(50))
    store.fill(np.arange(5))
    assert contents(store.folder) == expected


def test_a_folder_that_cannot_be_written_is_named(tmp_path, audio):
    (tmp_path / "features").write_text("in the way")
    with pytest.raises(InputError, match=r"feature store .*features") as refusal:
        small_store(tmp_path, audio).fill(np.arange(3))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("options", [{"storage": "int8"}, {"config": LogMelConfig()}])
def test_a_store_that_cannot_be_is_refused(tmp_path, audio, options):
    with pytest.raises(InputError, match=r"`storage`|`seconds`"):
        small_store(tmp_path, audio, **options)


def test_a_worker_that_dies_is_said_and_what_was_done_is_kept(tmp_path, audio, monkeypatch):
    store = small_store(tmp_path, audio)
    store.fill(np.arange(2))
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(InputError, match=r"ended with status 1.*run again"):
        store.fill(np.arange(6))
    monkeypatch.undo()
    assert store.fill(np.arange(6)) == {}


def test_two_that_start_at_once_fill_one_store_and_damage_nothing(tmp_path, audio):
    folder, clips = audio
    both = [filler(tmp_path / "both", folder, clips) for _ in range(2)]
    errors = [finish(process)[1] for process in both]
    assert sum("waiting for it" in text for text in errors) <= 1
    finish(filler(tmp_path / "one", folder, clips))
    assert contents(next((tmp_path / "both").iterdir())) == contents(next((tmp_path / "one").iterdir()))


def killed_in_the_middle(tmp_path, kills, clip_count):
    """Kill a fill `kills` times, each at another moment, then let it finish; check each step."""
    clips = write_clips(tmp_path, clip_count)
    folder = tmp_path / "killed"
    moments = random.Random(7)
    journal = None
    for _ in range(kills):
        target = len(lines(journal)) + moments.randint(1, clip_count // (2 * kills))
        process = filler(folder, tmp_path, clips)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            journal = journal or next(folder.glob("*/journal.csv"), None)
            if journal is not None and len(lines(journal)) >= target:
                break
            time.sleep(0.0005)
        time.sleep(moments.uniform(0, 0.01))
        process.kill()
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, "the fill ended before it was killed"
        with contextlib.suppress(ProcessLookupError):
            while True:
                os.killpg(process.pid, 0)  # what the fill started ends by itself
                time.sleep(0.01)
                assert time.monotonic() < deadline
        rows = [line.split(",")[0] for line in lines(journal)]
        assert len(rows) == len(set(rows)), "a clip that was done was done again"
        assert not list(folder.glob("*/index.csv"))
    finish(filler(folder, tmp_path, clips))
    finish(filler(tmp_path / "whole", tmp_path, clips))
    assert contents(next(folder.iterdir())) == contents(next((tmp_path / "whole").iterdir()))


def test_a_kill_costs_nothing_but_the_clips_in_flight(tmp_path):
    killed_in_the_middle(tmp_path, kills=2, clip_count=120)


@pytest.mark.slow
def test_twenty_kills_at_random_moments(tmp_path):
    killed_in_the_middle(tmp_path, kills=20, clip_count=1_500)


def test_a_full_disk_is_one_line_and_the_fill_goes_on_when_there_is_room(tmp_path, audio):
    rows = np.arange(30)
    whole = small_store(tmp_path, audio)
    whole.fill(rows)
    with small_disk(tmp_path / "disk", megabytes=1) as disk:
        store = small_store(disk, audio)
        store.fill(rows[:2])
        before = store.features[:2].copy()
        fill(disk, leave=9_000)
        with pytest.raises(InputError, match="No space left on device") as refusal:
            store.fill(rows)
        assert len(refusal.value.lines) == 1
        np.testing.assert_array_equal(store.features[:2], before)
        (disk / "ballast").unlink()
        assert store.fill(rows) == {}
        np.testing.assert_array_equal(store.features, whole.features)
        assert not list(disk.rglob("*.partial"))
