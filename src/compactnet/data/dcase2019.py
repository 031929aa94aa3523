"""TAU Urban Acoustic Scenes 2019, development set (DCASE 2019, task 1A), and data sets laid out as it is."""

import re
from dataclasses import replace
from pathlib import Path

from compactnet.data.clips import AudioSettings, Clips, check_manifest, label_numbers, load_clips, read_table
from compactnet.data.log_mel import SCENES
from compactnet.errors import InputError

FOLDER = "TAU-urban-acoustic-scenes-2019-development"
LABELS = (
    "airport",
    "bus",
    "metro",
    "metro_station",
    "park",
    "public_square",
    "shopping_mall",
    "street_pedestrian",
    "street_traffic",
    "tram",
)
FEATURES = replace(SCENES, seconds=10.0)
OFFICIAL_METADATA = "7bf439ead5a2aaca9c05bf83fa29cc0e57863a0a9a3cf0ea00888d8f816c4f0f"
"""`metadata_fingerprint` of the 13,370 clips in the official fold; 1,030 of the 14,400 are on neither side."""


def load(folder, settings=None, archive=FOLDER, labels=LABELS, fold=1):
    """Read scenes in the official layout: audio/, meta.csv, evaluation_setup/fold1_train.csv and fold1_evaluate.csv.

    TUT 2018 and TAU 2020 Mobile have the same layout; TUT 2017 has files ending in .txt, without headings.

    Args:
        folder: The data folder.
        settings: The `AudioSettings`; None for the paper's.
        archive: Folder of the data set in the data folder.
        labels: The label set.
        fold: Number of the fold, in the names of its files.

    Returns:
        A `Dataset` of float arrays of shape (bands, frames, 1).

    Raises:
        InputError: metadata or clips are missing or damaged, a label is outside the set, the split names a clip that
            the metadata lack, or a location stands on both sides.
    """
    settings = settings or AudioSettings(FEATURES)
    root = Path(folder) / archive
    command = "`make reproduce-sample`" if settings.generated else f"`make data-asc DATA={folder}`"
    check_manifest(root, settings.generated, command)
    headless = not (root / "meta.csv").exists() and (root / "meta.txt").exists()
    ending, columns = ("txt", ["filename", "scene_label", "identifier"]) if headless else ("csv", None)
    meta_path = root / f"meta.{ending}"
    meta = read_table(meta_path, "\t", ["filename", "scene_label", "identifier"], command, columns)
    for name in meta["filename"]:
        if not re.fullmatch(r"audio/[^/\\]+", name):
            raise InputError(f"{meta_path} names the file {name!r}; files are directly below audio/. Correct the row.")
    numbers = label_numbers(meta_path, meta["filename"], meta["scene_label"], labels)
    division = meta["filename"].map({}).astype(object)
    for side, name in (("train", f"fold{fold}_train"), ("test", f"fold{fold}_evaluate")):
        path = root / "evaluation_setup" / f"{name}.{ending}"
        listed = read_table(path, "\t", ["filename", "scene_label"], command, columns and columns[:2])
        _check_split(path, listed, meta, meta_path)
        both = listed["filename"][listed["filename"].isin(meta["filename"][division.notna()])]
        if len(both):
            raise InputError(*(f"{path}: {clip} is in the training side as well. Remove one of them." for clip in both))
        division[meta["filename"].isin(listed["filename"])] = side
    table = meta.rename(columns={"filename": "path", "identifier": "origin"})[["path", "origin"]]
    clips = Clips(root, table.assign(label=numbers, division=division), tuple(labels), "recording locations", command)
    return load_clips(clips, settings, Path(folder) / "features", ["train"], ["test"], origins_apart=True)


def _check_split(path, listed, meta, meta_path):
    known = dict(zip(meta["filename"], meta["scene_label"], strict=True))
    lines = []
    for clip, label in zip(listed["filename"], listed["scene_label"], strict=True):
        if clip not in known:
            lines.append(f"{path} names {clip}, which {meta_path.name} lacks. Take both files from the same archive.")
        elif label != known[clip]:
            lines.append(f"{path}: {clip} is {label!r}, and {known[clip]!r} in {meta_path.name}. Correct one of them.")
    if lines:
        raise InputError(*lines)
