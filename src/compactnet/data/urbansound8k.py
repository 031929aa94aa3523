"""UrbanSound8K (Salamon, Jacoby, Bello, 2014): 8,732 sounds of up to 4 s in ten folds."""

import re
from pathlib import Path

from compactnet.data.clips import AudioSettings, Clips, check_manifest, label_numbers, load_clips, read_table
from compactnet.data.download import Archive, Download
from compactnet.data.log_mel import EVENTS
from compactnet.errors import InputError

FOLDER = "UrbanSound8K"
DOWNLOAD = Download(
    title="UrbanSound8K",
    archives=(
        Archive(
            url="https://zenodo.org/records/1203745/files/UrbanSound8K.tar.gz?download=1",
            md5="9aa69802bbf37fb986f71ec1483a196e",
        ),
    ),
    gigabytes=6.0,
    licence="CC BY-NC 3.0: attribution, no commercial use",
    folder=FOLDER,
)
CLASS_NAMES = (
    "air_conditioner",
    "car_horn",
    "children_playing",
    "dog_bark",
    "drilling",
    "engine_idling",
    "gun_shot",
    "jackhammer",
    "siren",
    "street_music",
)
FOLDS = tuple(range(1, 11))
FOLD_SIZES = (873, 888, 925, 990, 936, 823, 838, 806, 816, 837)
"""Clips of each fold."""

FEATURES = EVENTS
OFFICIAL_METADATA = "f94d127225b53c5afbb056bf26a6eca735b651527b39a5c70b991bd442a1cc25"
"""`metadata_fingerprint` of the 8,732 clips."""


def load(folder, settings=None, test_folds=(10,)):
    """Read UrbanSound8K in its official layout: metadata/UrbanSound8K.csv, audio/fold1 to fold10.

    Args:
        folder: The data folder.
        settings: The `AudioSettings`; None for the paper's.
        test_folds: The folds held out; all others are trained on.

    Returns:
        A `Dataset` of float arrays of shape (bands, frames, 1).

    Raises:
        InputError: metadata or clips are missing or damaged, or a label is outside the set.
    """
    settings = settings or AudioSettings(FEATURES)
    if not test_folds or not set(test_folds) < set(FOLDS):
        raise InputError(f"`test_folds` must be some of the folds 1 to 10, not all. Received: {test_folds}")
    root = Path(folder) / FOLDER
    command = "`make reproduce-sample`" if settings.generated else f"`make data-sed DATA={folder}`"
    check_manifest(root, settings.generated, command)
    path = root / "metadata" / "UrbanSound8K.csv"
    meta = read_table(path, ",", ["slice_file_name", "fold", "classID", "class", "fsID"], command)
    names = meta["slice_file_name"]
    numbers = label_numbers(path, names, meta["class"], CLASS_NAMES)
    for name, fold, number, expected in zip(names, meta["fold"], meta["classID"], numbers, strict=True):
        if fold not in map(str, FOLDS) or not re.fullmatch(r"[^/\\]+", name):
            raise InputError(f"{path}: {name!r} is in the fold {fold!r}; folds are 1 to 10. Correct the row.")
        if number != str(expected):
            raise InputError(
                f"{path}: {name} has classID {number}, and its class has {expected}. Correct the row, or take the file "
                "from the archive again."
            )
    table = meta.rename(columns={"fold": "division", "fsID": "origin"})[["division", "origin"]]
    table = table.assign(path="audio/fold" + meta["fold"] + "/" + names, label=numbers)
    clips = Clips(root, table, CLASS_NAMES, "recordings", command)
    held_out = [str(fold) for fold in sorted(test_folds)]
    rest = [str(fold) for fold in FOLDS if fold not in test_folds]
    # The official folds cut a few recordings into two folds, so this cannot be asked of them.
    return load_clips(clips, settings, Path(folder) / "features", rest, held_out, origins_apart=False)
