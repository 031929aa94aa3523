"""TAU Urban Acoustic Scenes 2019, development set (DCASE 2019, task 1A), and data sets laid out as it is."""

import re
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import pandas as pd
from pydantic import Field, field_validator

from compactnet.data.clips import ClipTable, Source, check_manifest, label_numbers, load_clips, read_table
from compactnet.data.download import Archive, Download
from compactnet.data.log_mel import LogMelConfig
from compactnet.data.section import AudioSection, Fold, features_like
from compactnet.errors import InputError
from compactnet.validation import Count

FOLDER = "TAU-urban-acoustic-scenes-2019-development"
_MD5 = {
    "meta": "09782f2097e4735687af73c44919329c",
    "doc": "1f6879544e80da70099a191613e7e51f",
    "audio.1": "aca4ebfd9ed03d5f747d6ba8c24bc728",
    "audio.2": "c4f170408ce77c8c70c532bf268d7be0",
    "audio.3": "c7214a07211f10f3250290d05e72c37e",
    "audio.4": "a6a62110f6699cf4432072acb1dffda6",
    "audio.5": "091a0b6d3c84b8e60e46940aa7d4a8a0",
    "audio.6": "114f4ca13e074391b98a1cfd8140de65",
    "audio.7": "5951dd2968f7a514e2afbe279c4f060d",
    "audio.8": "b0b63dc95b327e1509857c8d8a663cc3",
    "audio.9": "3c32a693a6b111ffb957be3c1dd22e9b",
    "audio.10": "0ffbf60006da520cc761fb74c878b98b",
    "audio.11": "599055d93b4c11057c29be2df54538d4",
    "audio.12": "98b8d162ff3665695c4c910e6c372cc8",
    "audio.13": "a356c08b1a5a21d433eba37ef87587f4",
    "audio.14": "f8969771e7faf7dd471d1cf78b0cf011",
    "audio.15": "4758c4b0fb7484faa632266e78850820",
    "audio.16": "a18acad9ede8ea76574216feb887f0bc",
    "audio.17": "1af7703484632f340da5c33662dc9632",
    "audio.18": "b67402bf3e08f4da394a7c18756c0fd2",
    "audio.19": "035db315f19106eb848b6f9b32bcc47c",
    "audio.20": "9cb28c74911bf8a3eadcf53f50a5b5d6",
    "audio.21": "0e44ed85c88ec036a9725b4dd1dfaea0",
}
DOWNLOAD = Download(
    title="TAU Urban Acoustic Scenes 2019, development",
    archives=tuple(
        Archive(f"https://zenodo.org/records/2589280/files/{FOLDER}.{part}.zip?download=1", md5)
        for part, md5 in _MD5.items()
    ),
    gigabytes=35.0,
    licence="Tampere University's own: experimental and non-commercial use, with acknowledgement",
    folder=FOLDER,
)
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
FEATURES = LogMelConfig(seconds=10.0)
OFFICIAL_METADATA = "7bf439ead5a2aaca9c05bf83fa29cc0e57863a0a9a3cf0ea00888d8f816c4f0f"
"""`metadata_fingerprint` of the 13,370 clips in the official fold; 1,030 of the 14,400 are in neither split."""


class Dcase2019(AudioSection, Fold):
    """TAU Urban Acoustic Scenes 2019, development set, or a data set with the same layout.

    TAU 2020 Mobile has the same layout; in TUT 2018 and TUT 2017 some or all lists end in .txt and have no header.

    Attributes:
        archive: Name of the data set's folder in the data folder.
        labels: The label set; TAU 2019's ten if left out.
        fold: Number of the fold, in the names of its files.
    """

    source: Literal["dcase2019"] = "dcase2019"
    archive: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]*[A-Za-z0-9_-]$")] = FOLDER
    labels: Annotated[tuple[str, ...], Field(min_length=2)] = LABELS
    fold: Count = 1
    features: features_like(FEATURES) = FEATURES

    title: ClassVar = "TAU Urban Acoustic Scenes 2019"
    download: ClassVar = DOWNLOAD
    paper_table: ClassVar = "table3"
    paper_task: ClassVar = "asc"

    @field_validator("labels")
    @classmethod
    def _no_repeats(cls, labels):
        for label in labels:
            if labels.count(label) > 1:
                raise ValueError(f"{label!r} is listed twice")
        return labels

    @property
    def class_names(self):
        return self.labels

    @property
    def name(self):
        """The data set's title, or its folder where another data set has the layout."""
        return self.title if self.archive == FOLDER else self.archive

    @property
    def description(self):
        return f"{self.name}, fold {self.fold}"

    @property
    def official_fingerprint(self):
        official = (self.archive, self.labels, self.fold) == (FOLDER, LABELS, 1)
        return f"{OFFICIAL_METADATA}:" if official and self.complete else ""

    def official_counts(self):
        return (9_185, 4_185) if (self.archive, self.fold) == (FOLDER, 1) else None

    def load(self, folder):
        """Read scenes in the official layout: audio/, meta.csv, evaluation_setup/fold1_train.csv, fold1_evaluate.csv.

        Args:
            folder: The data folder.

        Returns:
            A `Dataset` of float arrays of shape (bands, frames, 1).

        Raises:
            InputError: metadata or clips are missing or damaged, a label is not in the label set, a split names a clip
                that the metadata lack, or a location is in both splits.
        """
        root = Path(folder) / self.archive
        downloaded = f"`make data-asc DATA={folder}`" if self.archive == FOLDER else None
        source = Source(root, "`make reproduce-sample`" if self.generated else downloaded)
        check_manifest(source, self.generated)
        meta_path, meta = _listed(root / "meta", ["filename", "scene_label", "identifier"], source)
        for name in meta["filename"]:
            if not re.fullmatch(r"audio/[^/\\]+", name):
                raise InputError(f"{meta_path} names the file {name!r}; files are directly in audio/. Correct the row.")
        numbers = label_numbers(meta_path, meta["filename"], meta["scene_label"], self.labels)
        split_of = pd.Series(None, index=meta.index, dtype=object)
        for split, name in (("train", f"fold{self.fold}_train"), ("test", f"fold{self.fold}_evaluate")):
            path, listed = _listed(root / "evaluation_setup" / name, ["filename", "scene_label"], source)
            _check_split(path, listed, meta, meta_path)
            both = listed["filename"][listed["filename"].isin(meta["filename"][split_of.notna()])]
            if len(both):
                raise InputError(
                    *(f"{path}: {clip} is in the training split as well. Remove one of them." for clip in both)
                )
            split_of[meta["filename"].isin(listed["filename"])] = split
        table = meta.rename(columns={"filename": "path", "identifier": "group"})[["path", "group"]]
        table = table.assign(label=numbers, fold=split_of)
        clips = ClipTable(source, table, tuple(self.labels), "recording locations")
        return load_clips(clips, self, folder, ["train"], ["test"], disjoint_groups=True)


def _listed(stem, columns, source):
    """Return the path and the table of a list: `stem`.csv with a header or, where that is missing, .txt without one."""
    path = stem.with_name(f"{stem.name}.txt")
    if path.exists() and not stem.with_name(f"{stem.name}.csv").exists():
        return path, read_table(path, "\t", columns, source, names=columns)
    path = stem.with_name(f"{stem.name}.csv")
    return path, read_table(path, "\t", columns, source)


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
