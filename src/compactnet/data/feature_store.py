"""Log-mel spectrograms of many clips, computed once: a memory-mapped array and an index, in a folder of their own.

`features.npy` has a row for each clip of the data set, in the data set's order; rows of clips that were never read are
holes in the file and use no disk space. `index.csv` lists the rows that hold features and the file each was computed
from. While the store is being filled, finished rows are logged in `journal.csv`, which is merged into the index at the
end. A row is valid only if it has a line, and its line is written only after the row. So a kill at any moment loses
only the clips in progress.
"""

import contextlib
import hashlib
import json
import os
import queue
import re
import subprocess
import sys
import threading
import zlib
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
from tqdm import tqdm

from compactnet.checks import check_choice, check_integer
from compactnet.data.dataset import Split, statistics
from compactnet.data.log_mel import LogMelConfig
from compactnet.errors import InputError, ResourceError
from compactnet.files import atomic_write, file_lock, write_text
from compactnet.processes import available_cores
from compactnet.validation import shown

ARRAY, INDEX, JOURNAL, LOCK, DESCRIPTION = "features.npy", "index.csv", "journal.csv", "lock", "description.json"
COLUMNS = ("row", "bytes", "modified_ns", "file_crc32", "features_crc32")
"""Columns of the journal: the row, the file it was computed from, and a checksum of its features."""

INTEGER = re.compile("-?[0-9]+")

FORMAT = 1
"""Increased when the same config would give other features than before, so that old stores are not used."""

CLIPS_PER_REQUEST = 4
"""Clips sent to a process at once, so that it does not wait for the next."""

WORKER_ENVIRONMENT = MappingProxyType(
    {
        # One process per core.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        # glibc keeps the arrays' memory from clip to clip, instead of giving it back and faulting it in again.
        "MALLOC_MMAP_THRESHOLD_": str(2**28),
        "MALLOC_TRIM_THRESHOLD_": str(2**28),
    }
)


class FeatureStore:
    """The features of one data set with one config.

    Args:
        folder: Folder of all feature stores; this one has a folder in it, named by the data set and a hash of the
            config and the clips.
        title: Name of the data set in file names.
        audio_folder: Folder that the clips' paths start from.
        clips: Paths of all clips of the data set, in its order.
        config: The `LogMelConfig`; its `seconds` must say how long clips are.
        storage: "float32" or "float16", the type in the array. Decibels rounded to float16 are off by up to 0.03.

    Raises:
        InputError: an argument out of range.
    """

    def __init__(self, folder, title, audio_folder, clips, config: LogMelConfig, storage="float32"):
        check_choice("storage", storage, ("float32", "float16"))
        self._audio_folder, self._clips, self._config = Path(audio_folder), [str(clip) for clip in clips], config
        self._shape, self._type = (len(self._clips), config.bands, config.frames), np.dtype(storage)
        description = {
            "format": FORMAT,
            "title": title,
            "features": config.model_dump(mode="json"),
            "storage": storage,
            "clips": len(self._clips),
            "clips_sha256": hashlib.sha256("\n".join(self._clips).encode()).hexdigest(),
        }
        self._description = json.dumps(description, indent=2) + "\n"
        name = hashlib.sha256(self._description.encode()).hexdigest()[:12]
        self.folder = Path(folder) / f"{title}-{name}"

    @property
    def features(self):
        """The array, mapped from disk: (clips, bands, frames), in decibels. Rows that are not filled hold zeros."""
        return np.load(self.folder / ARRAY, mmap_mode="r")

    def fill(self, rows, processes=None, stream=None):
        """Compute the features that are missing in some rows, on all cores, with a progress bar.

        A clip whose file changed since its row was filled is computed again. A second process that calls this waits
        until the first is done.

        Args:
            rows: Integer array of shape (n,), indices of the rows to fill.
            processes: Number of processes; None for one for each core that this process may use.
            stream: Stream for the progress bar; standard error if left out.

        Returns:
            {row: reason} of the rows whose clips are missing or damaged.

        Raises:
            InputError: an argument out of range.
            ResourceError: the store cannot be written, or a process died.
        """
        if processes is not None:
            check_integer("processes", processes)
        rows = self._checked(rows)
        if self._is_complete() and not len(self._missing(rows, self._read(INDEX))):
            return {}
        with self._locked(stream or sys.stderr):
            if not self._is_complete():
                self._create()
            interrupted = (self.folder / JOURNAL).exists()
            if interrupted:
                self._keep_checked_lines()
            index = _merged(self._read(INDEX), self._read(JOURNAL))
            missing = self._missing(rows, index)
            problems = self._extract(missing, processes, stream or sys.stderr) if len(missing) else {}
            if interrupted or len(problems) < len(missing):
                self._finish(_merged(index, self._read(JOURNAL)))
        return problems

    def checksums(self, rows):
        """Return the CRC-32 of the files that filled rows were made of, in the order of `rows`.

        Raises:
            InputError: some of them are not filled.
        """
        return self._filled(rows, "file_crc32")

    def statistics(self, rows, per_band=True):
        """Return mean and standard deviation of filled rows, as `compactnet.data.dataset.statistics` does.

        They are kept in the store, in a file whose name depends on the rows and their content.

        Args:
            rows: Integer array, the rows of the training split.
            per_band: Whether each mel band has its own statistics.

        Raises:
            InputError: some of them are not filled.
        """
        content = self._filled(rows, "features_crc32")
        key = hashlib.sha256(np.stack([rows, content]).astype(np.int64).tobytes()).hexdigest()[:12]
        path = self.folder / f"statistics-{'band' if per_band else 'global'}-{key}.json"
        shape = (self._shape[1] if per_band else 1, 1, 1)
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # missing or damaged
            kept = json.loads(path.read_text(encoding="utf-8"))
            return tuple(np.array(kept[name], np.float32).reshape(shape) for name in ("mean", "std"))
        split = Split(self.features[..., None], np.zeros(len(rows)), np.asarray(rows))
        figures = statistics(split, kept_axis=0 if per_band else None)
        mean, std = (figure.ravel().tolist() for figure in figures)
        with contextlib.suppress(InputError, ResourceError):  # the store of someone else, or a full disk
            write_text(path, json.dumps({"clips": len(rows), "mean": mean, "std": std}) + "\n")
        return figures

    def _checked(self, rows):
        """Return indices of rows as an integer array, which they must be."""
        rows = np.asarray(rows)
        fits = rows.ndim == 1 and (np.issubdtype(rows.dtype, np.integer) or not len(rows))
        if not fits or (len(rows) and not 0 <= rows.min() <= rows.max() < len(self._clips)):
            raise InputError(
                f"`rows` must be a list of integers from 0 to {len(self._clips) - 1}. Received: {shown(rows.tolist())}"
            )
        return rows.astype(np.int64)

    def _filled(self, rows, column):
        """Return a column of the index for filled rows."""
        rows, index = self._checked(rows), self._read(INDEX)
        if missing := np.setdiff1d(rows, index.index).tolist():
            raise InputError(f"These rows hold no features: {shown(missing)}. Fill them first.")
        return index.loc[rows, column].to_numpy()

    def _is_complete(self):
        """Say whether the array exists in its full size."""
        try:
            array = self.features
        except Exception:  # a damaged header can raise anything
            return False
        return array.shape == self._shape and array.dtype == self._type

    def _create(self):
        for name in (INDEX, JOURNAL):
            (self.folder / name).unlink(missing_ok=True)
        write_text(self.folder / DESCRIPTION, self._description)
        with atomic_write(self.folder / ARRAY) as partial, partial.open("wb") as file:
            header = {"descr": self._type.str, "fortran_order": False, "shape": self._shape}
            np.lib.format.write_array_header_1_0(file, header)
            # Nothing is written, so the file has its full size and takes no room yet.
            file.truncate(file.tell() + self._type.itemsize * int(np.prod(self._shape)))

    @contextlib.contextmanager
    def _locked(self, stream):
        def on_wait():
            stream.write(f"Another process is filling {self.folder}: waiting for it.\n")

        try:
            with file_lock(self.folder / LOCK, on_wait):
                yield
        except OSError as error:
            raise ResourceError(
                f"The feature store {self.folder} cannot be written ({error.strerror}). Finished clips are kept: free "
                "some space or make it writable, and run again."
            ) from error

    def _read(self, name):
        """Return the index or the journal as a data frame by row; empty if the file is missing."""
        try:
            text = (self.folder / name).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            text = ""
        # The index names the clip as well. The heading is no numbers, and a line that a full disk cut short is shorter.
        fields = len(COLUMNS) + (name == INDEX)
        lines = [line.split(",", len(COLUMNS)) for line in text.split("\n")[:-1]]
        figures = [line[: len(COLUMNS)] for line in lines if len(line) == fields]
        # Files from before 1970 have a negative time.
        values = [[int(figure) for figure in line] for line in figures if all(map(INTEGER.fullmatch, line))]
        frame = pd.DataFrame(np.array(values, dtype=np.int64).reshape(-1, len(COLUMNS)), columns=list(COLUMNS))
        return frame.drop_duplicates("row", keep="last").set_index("row")

    def _keep_checked_lines(self):
        """Leave of an interrupted fill's journal the lines whose rows hold what they say: power may have failed."""
        features, journal = self.features, self._read(JOURNAL)
        # Of two lines, the first of which a full disk cut short, one with the wrong row may have come.
        kept = [
            row < len(features) and zlib.crc32(features[row]) == checksum
            for row, checksum in journal["features_crc32"].items()
        ]
        lines = journal[np.array(kept, dtype=bool)].reset_index()
        write_text(self.folder / JOURNAL, lines.to_csv(index=False, header=False, lineterminator="\n"))

    def _missing(self, rows, index):
        """Return those of `rows` that are not filled, or whose file is not the one they were filled from."""
        # Not filled with NaN, which would make floats of the others and round their nanoseconds.
        known = index.reindex(rows, fill_value=-1)[["bytes", "modified_ns"]].to_numpy()
        return rows[[self._stat(row) != tuple(file) for row, file in zip(rows, known, strict=True)]]

    def _stat(self, row):
        try:
            status = os.stat(self._audio_folder / self._clips[row])
        except OSError:
            return None
        return status.st_size, status.st_mtime_ns

    def _finish(self, index):
        """Make everything durable, write the index in one step, then drop the journal."""
        with (self.folder / ARRAY).open("rb") as array:
            os.fsync(array.fileno())
        index = index.sort_index().assign(clip=lambda frame: [self._clips[row] for row in frame.index])
        write_text(self.folder / INDEX, index.reset_index().to_csv(index=False, lineterminator="\n"))
        (self.folder / JOURNAL).unlink(missing_ok=True)

    def _extract(self, rows, processes, stream):
        """Fill rows; return {row: reason} of those that could not be."""
        chunks = queue.SimpleQueue()
        for start in range(0, len(rows), CLIPS_PER_REQUEST):
            chunks.put(
                [
                    (int(row), str(self._audio_folder / self._clips[row]))
                    for row in rows[start : start + CLIPS_PER_REQUEST]
                ]
            )
        processes = min(processes or len(available_cores()), chunks.qsize())
        job = {
            "config": self._config.model_dump(mode="json"),
            "storage": self._type.name,
            "array": str(self.folder / ARRAY),
            "offset": self.features.offset,
            "journal": str(self.folder / JOURNAL),
        }
        replies, problems = queue.SimpleQueue(), {}
        workers = [_Worker(job, chunks, replies) for _ in range(processes)]
        # Without a terminal a bar is a line in a log: seldom is enough, and none where the work is short.
        pause, delay = (0.2, 0) if stream.isatty() else (30.0, 30.0)
        bar = tqdm(
            total=len(rows),
            desc="features",
            unit="clip",
            file=stream,
            mininterval=pause,
            maxinterval=pause,
            delay=delay,
            dynamic_ncols=True,
        )
        try:
            with bar:
                while processes:
                    reply = replies.get()
                    if reply is None:
                        processes -= 1
                    elif "fault" in reply:
                        raise ResourceError(f"{reply['fault']} Finished clips are kept: run again to continue.")
                    else:
                        bar.update()
                        if "problem" in reply:
                            problems[reply["row"]] = reply["problem"]
        finally:
            for worker in workers:
                worker.stop()
        return dict(sorted(problems.items()))


def _merged(index, journal):
    """Return the rows of both; of a row in both, the journal's, which is younger."""
    return pd.concat([index[~index.index.isin(journal.index)], journal])


class _Worker:
    """A process that fills rows, and the thread that feeds it.

    The process ends when its input does, so none is left behind when this one is killed.
    """

    def __init__(self, job, chunks, replies):
        self._chunks, self._replies = chunks, replies
        self._process = subprocess.Popen(
            [sys.executable, "-m", "compactnet.data.feature_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **WORKER_ENVIRONMENT},
        )
        self._thread = threading.Thread(target=self._feed, args=(job,), daemon=True)
        self._thread.start()

    def stop(self):
        """End the process, if it still runs, and wait for it."""
        self._process.kill()
        self._thread.join()
        self._process.wait()
        self._process.stdout.close()

    def _feed(self, job):
        try:
            with self._process.stdin as requests:
                print(json.dumps(job), file=requests)
                while True:
                    chunk = self._chunks.get_nowait()
                    print(json.dumps(chunk), file=requests, flush=True)
                    for _ in chunk:
                        self._replies.put(json.loads(self._process.stdout.readline()))
        except queue.Empty:
            pass
        except (OSError, ValueError):
            status = self._process.wait()
            self._replies.put({"fault": f"A process that computes features ended with status {status}."})
        finally:
            self._replies.put(None)
