"""UrbanSound8K (Salamon, Jacoby, Bello, 2014): 8,732 sounds of up to 4 s in ten folds."""

import re
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from compactnet.data.clips import ClipTable, Source, check_manifest, label_numbers, load_clips, read_table
from compactnet.data.download import Archive, Download
from compactnet.data.log_mel import EVENTS
from compactnet.data.section import AudioSection, Fold, features_like
from compactnet.errors import InputError
from compactnet.validation import added, listed

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


FoldNumber = Annotated[int, Field(ge=1, le=10, strict=True)]


class _UrbanSound8K(AudioSection):
    source: Literal["urbansound8k"] = "urbansound8k"
    test_folds: tuple[FoldNumber, ...]
    train_folds: added(listed(Annotated[tuple[FoldNumber, ...], Field(min_length=1)], "[1, 2]") | None, None) = None
    features: features_like(FEATURES) = FEATURES

    title: ClassVar = "UrbanSound8K"
    class_names: ClassVar = CLASS_NAMES
    download: ClassVar = DOWNLOAD
    paper_table: ClassVar = "table4"
    paper_task: ClassVar = "sed"

    @model_validator(mode="after")
    def _trains_and_tests_on_different_folds(self):
        for fold in self.train_folds or ():
            if fold in self.test_folds or self.train_folds.count(fold) > 1:
                raise ValueError(f"train_folds: fold {fold} is a test fold or listed twice; choose other folds")
        return self

    @property
    def official_fingerprint(self):
        return f"{OFFICIAL_METADATA}:" if self.complete and self.train_folds is None else ""


class UrbanSound8K(_UrbanSound8K):
    """UrbanSound8K, with some of its ten folds as test data, one after the other.

    Attributes:
        test_folds: The test folds; a network has one run for each fold and seed.
        train_folds: The training folds; all but the test fold if left out. Other folds may be missing.
    """

    test_folds: listed(Annotated[tuple[FoldNumber, ...], Field(min_length=1)], "[10]") = (10,)

    @field_validator("test_folds")
    @classmethod
    def _no_repeats(cls, folds):
        if len(set(folds)) < len(folds):
            raise ValueError("a fold is listed twice")
        return folds

    @property
    def description(self):
        folds = self.folds()
        if len(folds) == 1:
            return folds[0].description
        return f"{self.title}, each of {len(folds)} folds as test data"

    def folds(self):
        fields = dict(self)
        return [UrbanSound8KFold(**{**fields, "test_folds": (fold,)}) for fold in self.test_folds]


class UrbanSound8KFold(_UrbanSound8K, Fold):
    """UrbanSound8K with one of its ten folds as test data.

    Attributes:
        test_folds: The test fold.
        train_folds: The training folds; all others if left out.
    """

    test_folds: tuple[FoldNumber] = (10,)

    @property
    def _fold(self):
        return self.test_folds[0]

    @property
    def fold_name(self):
        return f"fold{self._fold}"

    @property
    def description(self):
        trained = f", folds {' and '.join(map(str, self.train_folds))} to train on" if self.train_folds else ""
        return f"{self.title}, fold {self._fold} as test data{trained}"

    @property
    def _train_folds(self):
        return self.train_folds or tuple(fold for fold in FOLDS if fold != self._fold)

    def official_counts(self):
        return sum(FOLD_SIZES[fold - 1] for fold in self._train_folds), FOLD_SIZES[self._fold - 1]

    def load(self, folder):
        """Read UrbanSound8K in its official layout: metadata/UrbanSound8K.csv, audio/fold1 to fold10.

        Args:
            folder: The data folder.

        Returns:
            A `Dataset` of float arrays of shape (bands, frames, 1).

        Raises:
            InputError: metadata or clips are missing or damaged, or a label is not in the label set.
        """
        root = Path(folder) / FOLDER
        source = Source(root, "`make reproduce-sample`" if self.generated else f"`make data-sed DATA={folder}`")
        check_manifest(source, self.generated)
        path = root / "metadata" / "UrbanSound8K.csv"
        meta = read_table(path, ",", ["slice_file_name", "fold", "classID", "class", "fsID"], source)
        names = meta["slice_file_name"]
        numbers = label_numbers(path, names, meta["class"], CLASS_NAMES)
        for name, fold, number, expected in zip(names, meta["fold"], meta["classID"], numbers, strict=True):
            if fold not in map(str, FOLDS) or not re.fullmatch(r"[^/\\]+", name):
                raise InputError(f"{path}: {name!r} is in the fold {fold!r}; folds are 1 to 10. Correct the row.")
            if number != str(expected):
                raise InputError(
                    f"{path}: {name} has classID {number}, and its class has {expected}. Correct the row, or take the "
                    "file from the archive again."
                )
        table = meta.rename(columns={"fsID": "group"})[["fold", "group"]]
        table = table.assign(path="audio/fold" + meta["fold"] + "/" + names, label=numbers)
        clips = ClipTable(source, table, CLASS_NAMES, "recordings")
        train = [str(fold) for fold in self._train_folds]
        # The official folds put clips of a few recordings into two folds, so disjoint groups cannot be required.
        return load_clips(clips, self, folder, train, [str(self._fold)], disjoint_groups=False)
