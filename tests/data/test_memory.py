"""Training reads features from the disk's map: what a process holds for itself does not grow with the clips."""

import json
import os
import subprocess
import sys

import pandas as pd
import pytest

from compactnet.data.urbansound8k import CLASS_NAMES, FOLDER
from tests.data.clips import write_clips

EPOCH = """
import gc, json, sys
import numpy as np
from compactnet.data import LogMelConfig, UrbanSound8KFold

def anonymous():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon"))

config = LogMelConfig(sample_rate=8_000, window=256, hop=32, fft=256, bands=64, seconds=0.5)
dataset = UrbanSound8KFold(features=config, generated=True).load(sys.argv[1])
largest = 0
order = np.random.default_rng(0).permutation(len(dataset.train))
for start in range(0, len(order), 32):
    dataset.batch(dataset.train, order[start : start + 32])
    largest = max(largest, anonymous())
print(json.dumps({"anonymous": largest, "features": dataset.train.samples.nbytes}))
"""


def memory(folder, count):
    """Lay out `count` clips, many of them links to the same few files, and return what an epoch over them takes."""
    root = folder / str(count) / FOLDER
    paths = write_clips(root, 50)
    rows = []
    for fold in range(1, 11):
        (root / "audio" / f"fold{fold}").mkdir()
    for clip in range(count):
        fold, label = clip % 10 + 1, clip % len(CLASS_NAMES)
        os.link(root / paths[clip % len(paths)], root / "audio" / f"fold{fold}" / f"{clip}.wav")
        rows.append((f"{clip}.wav", clip, 0.0, 0.5, 1, fold, label, CLASS_NAMES[label]))
    columns = ("slice_file_name", "fsID", "start", "end", "salience", "fold", "classID", "class")
    (root / "metadata").mkdir()
    pd.DataFrame(rows, columns=columns).to_csv(root / "metadata" / "UrbanSound8K.csv", index=False)
    (root / "generated.json").write_text("{}")
    finished = subprocess.run(
        [sys.executable, "-c", EPOCH, str(root.parent)], stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(finished.stdout)


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="Linux alone tells anonymous memory")
def test_ten_times_the_clips_take_no_more_memory(tmp_path):
    few, many = memory(tmp_path, 2_000), memory(tmp_path, 20_000)
    print(few, many)
    assert many["features"] - few["features"] > 5e8
    # What grows is the table of names and labels.
    assert many["anonymous"] - few["anonymous"] < 0.05 * (many["features"] - few["features"])
