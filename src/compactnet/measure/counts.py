"""Counts of parameters and FLOPs, cached in a file so that a table need not build every network again."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from compactnet.checks import format_shape
from compactnet.errors import InputError
from compactnet.files import write_text
from compactnet.networks import build
from compactnet.networks.complexity import CONVENTION, complexity
from compactnet.schema import hash_json

CLASSES = 10
"""Classes of each task of the paper."""
COUNTS = ("params", "flops", "weight_bytes", "peak_activation_bytes")
COLUMNS = (
    "network",
    "input",
    "classes",
    *COUNTS,
    "convention",
    "spec_hash",
)


@dataclass(frozen=True)
class Count:
    """One counted network.

    Attributes:
        params: Number of weights.
        flops: FLOPs of one sample by the convention.
        weight_bytes: Bytes of the float32 weights.
        peak_activation_bytes: Largest sum of live activations at batch 1.
    """

    params: int
    flops: int
    weight_bytes: int
    peak_activation_bytes: int

    @property
    def mflops(self):
        """FLOPs in units of 1e6."""
        return self.flops / 1e6


class CountCache:
    """The counts in a CSV file; networks that it lacks are counted when they are asked for.

    A row belongs to a spec (by hash), an input, a number of classes and a convention, so a changed network is counted
    again.

    Args:
        path: The CSV file; it may be missing.
        recount: Whether to ignore the counts in the file.
    """

    def __init__(self, path, recount=False):
        self._path = Path(path)
        self._rows = {} if recount else _read(self._path)
        self._used = {}
        self._changed = recount

    def prepare(self, wanted):
        """Count those of `wanted`, a list of the arguments of `get`, that are missing, with a progress bar."""
        missing = [item for item in wanted if _key(*item[1:]) not in self._rows]
        for item in tqdm(missing, desc="counting", unit="network", disable=not missing):
            self.get(*item)

    def get(self, name, spec, input_shape, classes=CLASSES):
        """Return the `Count` of a spec at an input shape (height, width, channels) and with a number of classes."""
        key = _key(spec, input_shape, classes)
        if key not in self._rows:
            self._changed = True
            counted = complexity(build(spec, input_shape, classes, name=name))
            self._rows[key] = Count(counted.params, counted.flops, counted.weight_bytes, counted.peak_activation_bytes)
        self._used[key] = (name, self._rows[key])
        return self._rows[key]

    def save(self):
        """Write every count that was asked for, in that order, unless all came from the file."""
        if not self._changed:
            return
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for (spec_hash, shape, classes, convention), (name, count) in self._used.items():
            values = (count.params, count.flops, count.weight_bytes, count.peak_activation_bytes)
            writer.writerow([name, shape, classes, *values, convention, spec_hash])
        write_text(self._path, text.getvalue())


def _key(spec, input_shape, classes=CLASSES):
    return hash_json(spec.architecture())[:16], format_shape(input_shape), classes, CONVENTION


def _read(path):
    if not path.is_file():
        return {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return {
                (row["spec_hash"], row["input"], int(row["classes"]), row["convention"]): Count(
                    *(int(row[name]) for name in COUNTS)
                )
                for row in csv.DictReader(file)
            }
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is not a table of counts ({error!r}). Delete it; `make tables` writes it again."
        ) from None
