"""What the audio data sets share: a table of clips, features from the store, splits without a common recording."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from compactnet.data.dataset import GENERATED_MANIFEST, Dataset, Split, fingerprint
from compactnet.data.feature_store import FeatureStore
from compactnet.errors import InputError


@dataclass(frozen=True)
class Source:
    """Where the files of a data set come from; its properties begin a sentence of advice.

    Attributes:
        folder: The data set's folder.
        command: The command that downloads or generates it, "`make data-sed`", or None where there is none. It leaves
            what it finds as it is.
    """

    folder: Path
    command: str | None

    @property
    def if_missing(self):
        """What to do where the folder does not exist."""
        return f"Run {self.command}" if self.command else "Unpack the data set there"

    @property
    def if_incomplete(self):
        """What to do where files are missing."""
        if self.command is None:
            return "Unpack the rest of the data set there"
        return f"Run {self.command}; if that does not help, delete the folder {self.folder} and run it again"

    @property
    def if_damaged(self):
        """What to do where a file is damaged."""
        again = "Take it from its archive again"
        return f"{again}, or delete the folder {self.folder} and run {self.command}" if self.command else again


@dataclass(frozen=True)
class ClipTable:
    """A data set's clips, as its metadata list them.

    Attributes:
        source: The `Source`; the clips' paths are relative to its folder.
        table: Data frame in the order of the metadata, with the columns `path`, `label` (an integer), `fold` (the part
            of the data set that the clip belongs to: the number of a fold, or "train" or "test") and `group` (the
            recording or location it was cut from; no group should be in both splits).
        class_names: Name of each label.
        group_name: What groups are: "recording locations".
    """

    source: Source
    table: pd.DataFrame
    class_names: tuple
    group_name: str


def read_table(path, separator, columns, source, names=None):
    """Read a table of metadata as texts.

    Args:
        path: The file.
        separator: The text between columns.
        columns: Names of the columns it must have; the first one names clips and may not repeat.
        source: The `Source` of the file.
        names: Names of all columns, for a file without a header.

    Raises:
        InputError: it is missing, is not such a table, lacks a column, or has a row twice.
    """
    try:
        # Rows with more fields than there are names would shift their columns.
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(
                path,
                sep=separator,
                names=names,
                usecols=names and range(len(names)),
                index_col=False,
                dtype=str,
                keep_default_na=False,
            )
    except FileNotFoundError:
        raise InputError(f"{path} is missing. {source.if_incomplete}, or set DATA=folder.") from None
    except (OSError, ValueError, pd.errors.ParserWarning) as error:
        raise InputError(f"{path} cannot be read as a table ({error}). {source.if_damaged}.") from error
    for column in columns:
        if column not in table.columns:
            found = ", ".join(map(str, table.columns))
            raise InputError(f"{path} has no column {column!r}; it has {found}. {source.if_damaged}.")
    repeated = table[columns[0]][table[columns[0]].duplicated()].unique()
    if len(repeated):
        raise InputError(*(f"{path} lists {name} more than once. Remove the row that is wrong." for name in repeated))
    return table


def check_manifest(source, generated):
    """Check that the folder of a `Source` exists, and is generated or real as expected.

    Raises:
        InputError: it is not.
    """
    folder = source.folder
    if not folder.is_dir():
        raise InputError(
            f"The data folder {folder.parent} holds no {folder.name}. {source.if_missing}, or set DATA=folder."
        )
    found = (folder / GENERATED_MANIFEST).exists()
    if found and not generated:
        raise InputError(f"{folder} holds generated clips, not real ones. Choose another folder with DATA=folder.")
    if generated and not found:
        raise InputError(f"{folder} holds no generated clips. Choose another folder with DATA=folder.")


def label_numbers(path, names, labels, class_names):
    """Return the number of each label.

    Args:
        path: The file with the labels, for the message.
        names: Names of the clips.
        labels: Their labels.
        class_names: The label set.

    Raises:
        InputError: a label outside the set.
    """
    number = {name: index for index, name in enumerate(class_names)}
    wrong = [(clip, label) for clip, label in zip(names, labels, strict=True) if label not in number]
    if wrong:
        known = ", ".join(class_names)
        raise InputError(
            *(
                f"{path}: {clip} has the label {label!r}, which is not in the label set ({known})."
                for clip, label in wrong
            )
        )
    return np.array([number[label] for label in labels], dtype=np.int64)


def load_clips(clips: ClipTable, section, data_folder, train, test, disjoint_groups):
    """Return the `Dataset` of the clips of some folds; features that the store lacks are computed.

    Args:
        clips: The `ClipTable`.
        section: The `AudioSection`, which says how clips become a data set.
        data_folder: The data folder; the feature stores are in `features/` below it.
        train: The folds to train on.
        test: The folds to test on.
        disjoint_groups: Whether a group in both splits is an error; otherwise it is a remark.

    Raises:
        InputError: a line for each clip that is missing or damaged, or a group in both splits.
        ResourceError: the feature store cannot be written.
    """
    table, folder = clips.table, clips.source.folder
    wanted = np.flatnonzero(table["fold"].isin([*train, *test]))
    exists = np.array([(folder / path).is_file() for path in table["path"].iloc[wanted]], dtype=bool)
    if section.subset:
        wanted = wanted[exists]
    elif not section.skip_bad and exists.sum() < len(wanted) / 2:
        first = folder / table["path"].iloc[wanted[~exists][0]]
        raise InputError(
            f"{len(wanted) - exists.sum():,} of {len(wanted):,} clips are missing, the first is {first}. "
            f"{clips.source.if_incomplete}, or set data.subset=true to use the clips that exist."
        )
    remark = _compare_groups(table.iloc[wanted], train, test, clips.group_name, disjoint_groups)
    store = FeatureStore(
        Path(data_folder) / "features",
        folder.name,
        folder,
        table["path"],
        section.features,
        section.storage,
    )
    problems = store.fill(wanted)
    if problems and not section.skip_bad:
        raise InputError(
            *(
                f"{folder / table['path'].iloc[row]} {problem} Get it again, or skip such clips: --skip-bad."
                for row, problem in problems.items()
            )
        )
    used = wanted[~np.isin(wanted, list(problems))]
    splits, coverage = {}, {}
    for name, folds in (("train", train), ("test", test)):
        indices = used[table["fold"].iloc[used].isin(folds)]
        if not len(indices):
            raise InputError(
                f"{folder} has no clips to {name} on (fold {', '.join(folds)}). {clips.source.if_incomplete}, "
                "or choose other folds."
            )
        splits[name] = Split(store.features[..., None], table["label"].to_numpy()[indices], indices)
        coverage[name] = {"used": len(indices), "total": int(table["fold"].isin(folds).sum())}
    mean, std = store.statistics(splits["train"].indices, per_band=section.normalization == "band")
    metadata = table.iloc[used][["path", "label", "fold"]]
    contents = dict(zip(metadata["path"], store.checksums(used).tolist(), strict=True))
    return Dataset(
        **splits,
        class_names=clips.class_names,
        mean=mean,
        std=std,
        fingerprint=f"{metadata_fingerprint(metadata)}:{fingerprint(contents)}",
        coverage=coverage,
        generated=section.generated,
        skipped={str(table["path"].iloc[row]): problem for row, problem in problems.items()},
        remarks=(remark,),
    )


def metadata_fingerprint(table):
    """Return the hash of a table's paths, labels and folds, whatever the order of its rows."""
    rows = zip(table["path"], table["label"].tolist(), table["fold"], strict=True)
    return fingerprint({path: [label, fold] for path, label, fold in rows})


def _compare_groups(table, train, test, group_name, disjoint):
    """Return a sentence on the groups of both splits.

    Raises:
        InputError: `disjoint`, and a group is in both.
    """
    groups = [set(table["group"][table["fold"].isin(folds)]) for folds in (train, test)]
    common = sorted(groups[0] & groups[1])
    if common and disjoint:
        raise InputError(
            f"{len(common)} {group_name} are in both the training and the test split, the first is {common[0]!r}: a "
            "network could recognize them. Use the official split."
        )
    return (
        f"{len(groups[0]):,} {group_name} in training, {len(groups[1]):,} in test, "
        f"{f'{len(common)} of them ({chr(44).join(common)}) in both' if common else 'none in both'}."
    )
