"""A checkpoint is complete or absent, whatever happens while it is written."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from compactnet.errors import InputError
from compactnet.experiments.checkpoints import Checkpoints
from compactnet.schema import Environment, Epoch, Segment

HISTORY = [
    Epoch(epoch=epoch, train_loss=0.5, train_accuracy=0.5, test_loss=0.1 + 0.2, test_accuracy=0.5, seconds=1.0)
    for epoch in (1, 2, 3)
]
SEGMENTS = [Segment(from_epoch=1, environment=Environment(backend="jax", versions={"keras": "3"}))]


def small_model(seed, units=4):
    """A compiled model with everything that a checkpoint must keep: weights, moving statistics, dropout's state."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((3,), name="in")
    hidden = keras.layers.BatchNormalization(name="normal")(keras.layers.Dense(units, name="hidden")(inputs))
    outputs = keras.layers.Dense(2, "softmax", name="out")(keras.layers.Dropout(0.5, name="drop")(hidden))
    model = keras.Model(inputs, outputs)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def trained(model, epoch):
    generator = np.random.default_rng(epoch)
    samples, labels = generator.normal(size=(8, 3)).astype(np.float32), generator.integers(0, 2, 8)
    return model.fit(samples, labels, batch_size=4, shuffle=False, verbose=0).history


def weights(model):
    return [np.asarray(value) for value in model.get_weights()]


def same(one, other):
    return all(np.array_equal(left, right) for left, right in zip(weights(one), weights(other), strict=True))


def no_report(text):
    raise AssertionError(text)


def test_a_resumed_run_equals_one_that_never_stopped(tmp_path):
    whole = small_model(0)
    for epoch in (1, 2, 3):
        trained(whole, epoch)
    stopped = small_model(0)
    for epoch in (1, 2):
        trained(stopped, epoch)
    Checkpoints(tmp_path, "protocol").save(stopped, HISTORY[:2], SEGMENTS)
    # Another seed: what it starts from must not matter.
    resumed = small_model(7)
    assert Checkpoints(tmp_path, "protocol").restore(resumed, no_report) == (HISTORY[:2], SEGMENTS)
    assert same(resumed, stopped)
    assert trained(resumed, 3) == trained(stopped, 3)
    assert same(resumed, whole)


def test_without_a_checkpoint_the_model_is_unchanged(tmp_path):
    fresh, restored = small_model(0), small_model(0)
    assert Checkpoints(tmp_path / "none", "protocol").restore(restored, no_report) == ([], [])
    assert Checkpoints(tmp_path / "none", "protocol").last_epoch() == 0
    assert trained(fresh, 1) == trained(restored, 1)
    assert same(fresh, restored)


def test_the_last_two_are_kept_and_clear_removes_all(tmp_path):
    checkpoints = Checkpoints(tmp_path / "run", "protocol")
    model = small_model(0)
    for count in (1, 2, 3):
        checkpoints.save(model, HISTORY[:count], [])
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["epoch-0002.npz", "epoch-0003.npz"]
    assert checkpoints.last_epoch() == 3
    (tmp_path / "run" / ".epoch-0004.npz.abc.partial").write_bytes(b"half")
    (tmp_path / "run" / "epoch-0001.unusable").write_bytes(b"unusable")
    checkpoints.clear()
    assert not (tmp_path / "run").exists()
    checkpoints.clear()  # once more does no harm


def test_another_process_may_clear_at_the_same_time(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    checkpoints = Checkpoints(folder, "protocol")
    checkpoints.save(small_model(0), HISTORY[:1], [])
    rmdir = Path.rmdir

    def twice(path):
        rmdir(path)
        rmdir(path)

    monkeypatch.setattr(Path, "rmdir", twice)
    checkpoints.clear()
    assert not folder.exists()


@pytest.mark.parametrize("damage", ["truncated", "flipped", "emptied", "foreign", "another network"])
def test_an_unusable_checkpoint_is_renamed_and_the_one_before_it_is_used(tmp_path, damage):
    model, other = small_model(0), small_model(0, units=5)
    trained(model, 1)
    trained(other, 1)
    Checkpoints(tmp_path, "protocol").save(model, HISTORY[:1], [])
    first = weights(model)
    trained(model, 2)
    last = tmp_path / "epoch-0002.npz"
    if damage == "foreign":
        Checkpoints(tmp_path, "another protocol").save(model, HISTORY[:2], [])
    elif damage == "another network":
        Checkpoints(tmp_path, "protocol").save(other, HISTORY[:2], [])
    else:
        Checkpoints(tmp_path, "protocol").save(model, HISTORY[:2], [])
        content = bytearray(last.read_bytes())
        if damage == "flipped":
            content[content.index(weights(model)[0].tobytes())] ^= 1
        last.write_bytes({"truncated": content[: len(content) // 2], "emptied": b""}.get(damage, content))
    said = []
    restored = small_model(7)
    history, _ = Checkpoints(tmp_path, "protocol").restore(restored, said.append)
    assert history == HISTORY[:1]
    assert all(np.array_equal(left, right) for left, right in zip(weights(restored), first, strict=True))
    (line,) = said
    assert line.startswith("epoch-0002.npz cannot be used")
    assert "renamed to epoch-0002.unusable" in line
    assert not last.exists()
    assert last.with_suffix(".unusable").exists()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(InputError, match=r"Cannot write .*run"):
        Checkpoints(tmp_path / "run", "protocol").save(small_model(0), HISTORY[:1], [])


KILLED = """
import os, sys
import keras
from compactnet.experiments.checkpoints import Checkpoints
from compactnet.schema import Environment, Epoch, Segment
from tests.experiments.test_checkpoints import HISTORY, small_model, trained

folder, place = sys.argv[1], int(sys.argv[2])
model = small_model(0)
checkpoints = Checkpoints(folder, "protocol")
for count in (1, 2):
    trained(model, count)
    checkpoints.save(model, HISTORY[:count], [])
trained(model, 3)
calls = 0
def maybe_kill(*ignored):
    global calls
    calls += 1
    if calls == place:
        os.kill(os.getpid(), 9)
# Before each system call that changes the disk, and between the halves of each write.
for name in ("open", "fsync", "replace", "rename", "unlink", "mkdir"):
    def wrapped(*arguments, _original=getattr(os, name), **keywords):
        maybe_kill()
        return _original(*arguments, **keywords)
    setattr(os, name, wrapped)
import pathlib
def write_bytes(self, content):
    with self.open("wb") as file:
        file.write(content[: len(content) // 2])
        file.flush()
        maybe_kill()
        file.write(content[len(content) // 2 :])
        maybe_kill()
pathlib.Path.write_bytes = write_bytes
checkpoints.save(model, HISTORY[:3], [])
print("calls", calls)
"""


@pytest.mark.slow
def test_a_kill_between_any_two_writes_loses_at_most_the_current_epoch(tmp_path, repository):
    def run(place):
        folder = tmp_path / str(place)
        command = [sys.executable, "-c", KILLED, str(folder), str(place)]
        return folder, subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)

    _, ended = run(0)
    assert ended.returncode == 0, ended.stderr
    places = int(ended.stdout.split()[-1])
    assert places >= 6
    found = []
    for place in range(1, places + 1):
        folder, ended = run(place)
        assert ended.returncode == -9
        history, _ = Checkpoints(folder, "protocol").restore(small_model(7), no_report)
        found.append(len(history))
    assert set(found) == {2, 3}
    assert found == sorted(found)
