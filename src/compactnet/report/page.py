"""One self-contained HTML page of everything: what was run, the tables, figures, guidelines and every record."""

import base64
import dataclasses
import itertools
import re
from pathlib import Path

import jinja2
import markupsafe
import numpy as np
import pandas as pd

from compactnet.experiments.study import folds_of
from compactnet.files import write_text
from compactnet.measure.side_by_side import WARM_UP
from compactnet.report.figures import CAPTIONS
from compactnet.report.markdown import text_of
from compactnet.report.paper_tables import samples_used
from compactnet.report.speed_records import FAMILIES, machine, newest
from compactnet.report.speed_tables import INFERENCE, base_of
from compactnet.report.tables import all_tables, budgets, leaves, planned_cells, run_tables

NAME = "report.html"
EXACT = 0.1
"""Difference of MFLOPs up to which a count is the paper's, which prints one decimal."""

CURVE_HEIGHT = 500
"""Units of a curve's picture from 0 to 100 %, so that its points are whole numbers."""

TITLE = "compactnet: Channel Compression, reproduced"


def write_page(folder, sources, title=TITLE):
    """Write `report.html`, from records and from the figures that lie in the folder.

    Args:
        folder: Where it goes, and where `make figures` wrote the figures.
        sources: What `read_sources` returned.
        title: Its heading.

    Returns:
        Its path.

    Raises:
        InputError: a published table is missing, or the page cannot be written.
    """
    folder = Path(folder)
    runs = _Runs(sources)
    tables = {name: table for name, table in all_tables(sources).items() if table is not None}
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("compactnet.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    figures = _figures(folder)
    page = environment.get_template("report.html").render(
        title=title,
        studies=[_study(config, sources) for config in sources.configs if not config.data.generated],
        any_runs=any(sources.members[config.name] for config in sources.configs if not config.data.generated),
        tables=[_shown(table, runs) for table in tables.values()],
        figures=figures,
        missing_figures=[name for name in CAPTIONS if name not in [figure["name"] for figure in figures]],
        failures=[failure for of_study in sources.failures.values() for failure in of_study],
        popovers=runs.popovers(),
        curve_height=CURVE_HEIGHT,
    )
    write_text(folder / NAME, page)
    return folder / NAME


@dataclasses.dataclass(frozen=True)
class _Cell:
    """A cell of a table: its text, how it looks and what it opens."""

    text: str
    look: str = ""
    opens: str | None = None


class _Runs:
    """What a cell opens: the runs behind an accuracy, or the session behind a speed."""

    def __init__(self, sources):
        self._all_sessions, self._used = sources.sessions, {}
        self._members = {}
        for study, records in sources.members.items():
            for record in records:
                self._members.setdefault((study, record["network"]), []).append(record)
        planned = planned_cells(sources.configs)
        self._rows = {name: budgets(records, planned) for name, (_, _, records) in run_tables(sources).items()}
        self._sessions = {
            f"{runtime}_{device}": {
                base: newest(sources.sessions, base, runtime=runtime, device=device) for base in FAMILIES
            }
            for device, runtime in INFERENCE
        }
        self._timed = {
            f"speed_{kind}": [one for one in sources.sessions if one.work.kind == kind for _ in one.timings]
            for kind in WARM_UP
        }
        self._studies = [config.name for config in sources.configs]

    def behind(self, table, place, column, row):
        """Return the identifier of what a cell opens, or None.

        Args:
            table: Name of the table.
            place: Number of the row.
            column: Name of the column.
            row: The row.
        """
        if table in self._rows:
            if column == "accuracy_last_epoch_percent":
                return self._use(f"{table}-{place}", row["model"], self._rows[table][place])
            return None
        for study in self._studies:
            if column == f"{study}_accuracy" and (study, row.get("network")) in self._members:
                name = f"{study}-{row['network']}"
                return self._use(name, f"{row['model']}, study {study}", self._members[study, row["network"]])
        if table in self._timed:
            return self._use_session(self._timed[table][place]) if column == "samples_per_s" else None
        runtime = column.removesuffix("_samples_per_s")
        if runtime in self._sessions:
            return self._use_session(self._sessions[runtime][base_of(row["network"])])
        return None

    def popovers(self):
        """Return all that cells open, in the order in which they stand."""
        return list(self._used.values())

    def _use_session(self, session):
        # By identity: sessions hold arrays, which do not compare to one truth.
        place = next(place for place, one in enumerate(self._all_sessions) if one is session)
        name = f"session-{place}"
        title = f"Session of {session.finished}: {session.work.kind}, {'x'.join(map(str, session.work.input_shape))}"
        self._used[name] = {"name": name, "title": title, "session": _session(session)}
        return name

    def _use(self, name, title, records):
        self._used[name] = {
            "name": name,
            "title": title,
            "runs": [_run(record) for record in records],
            "config": _config(records[0]),
            "environments": _environments(records),
        }
        return name


def _study(config, sources):
    """Return the line that says what was run on what."""
    runs = sources.members[config.name]
    planned = len(config.networks) * len(config.seeds) * len(config.data.parts())
    return {
        "name": config.name,
        "data": config.data.description,
        "networks": len(config.networks),
        "seeds": len(config.seeds),
        "epochs": config.training.epochs,
        "cells": f"{len(runs)} of {planned}",
        "failed": len(sources.failures[config.name]),
        "samples": samples_used(runs) or "",
        "unit": config.data.samples,
    }


def _shown(table, runs):
    """Return a table as the template takes it."""
    rows = table.frame.to_dict("records")
    sections = []
    for heading, columns in table.parts().items():
        lines = [[_cell(table.name, place, column, row, runs) for column in columns] for place, row in enumerate(rows)]
        numeric = [pd.api.types.is_numeric_dtype(table.frame[column]) for column in columns]
        headings = list(zip(columns.values(), numeric, strict=True))
        sections.append({"heading": heading, "columns": headings, "rows": lines})
    notes = [_emphasised(note) for note in table.notes]
    return {"name": table.name, "title": table.title, "notes": notes, "sections": sections}


def _emphasised(note):
    """Return a paragraph of a Markdown page as HTML: all that notes use of Markdown is emphasis."""
    text = str(markupsafe.escape(note))
    text = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", text)
    return markupsafe.Markup(re.sub(r"\*(.+?)\*", r"<em>\1</em>", text))


def _cell(table, place, column, row, runs):
    value = row[column]
    text = text_of(value, column)
    return _Cell(text, _look(column, row), runs.behind(table, place, column, row) if text else None)


def _look(column, row):
    """Return the class of a cell: of a difference, whether it is none, or which way it lies; of a verdict, which."""
    value = row[column]
    if pd.isna(value):
        return ""
    if column == "verdict":
        return {"supported": "same", "not supported": "apart"}.get(value, "unknown")
    if not column.endswith("_difference"):
        return ""
    if "accuracy" in column:
        low, high = row[f"{column}_low"], row[f"{column}_high"]
        if pd.isna(low):
            return "unknown"
        return "above" if low > 0 else "below" if high < 0 else "same"
    return "same" if abs(value) < EXACT else "apart"


def _run(record):
    """Return what a popover shows of a record."""
    return {
        "seed": record["seed"],
        "last": f"{100 * record['last']['test_accuracy']:.2f}",
        "best": f"{100 * record['best']['test_accuracy']:.2f} % (epoch {record['best']['epoch']})",
        "fold": " ".join(map(str, folds_of(record["protocol"]))),
        "epochs": len(record["history"]),
        "minutes": f"{record['duration_seconds'] / 60:.1f}",
        "finished": record["finished"],
        "generated": record["generated_data"],
        "skipped": len(record.get("skipped", {})),
        "parameters": record["params"],
        "protocol_hash": record["protocol_hash"][:12],
        "test": _curve([epoch["test_accuracy"] for epoch in record["history"]]),
        "train": _curve([epoch["train_accuracy"] for epoch in record["history"]]),
    }


def _curve(values):
    """Return an accuracy over the epochs as the data of an SVG path, which is shortest in steps from point to point."""
    heights = [round(CURVE_HEIGHT * (1 - value)) for value in values]
    steps = [f"1{after - before:+d}".replace("+", " ") for before, after in itertools.pairwise(heights)]
    return f"M0 {heights[0]}" + ("l" + " ".join(steps) if steps else "h1")


def _config(record):
    """Return what decided the outcome of runs that differ in seed and fold alone, as pairs (key, value)."""
    protocol = record["protocol"]
    data = {name: value for name, value in protocol["data"].items() if name != "test_folds"}
    return list(leaves({"network": protocol["network"], "data": data, "training": protocol["training"]}))


def _environments(records):
    """Return the seeds that were run in each environment: processor, versions and commit."""
    found = {}
    for record in records:
        environment = record.get("environment", {})
        versions = ", ".join(f"{name} {version}" for name, version in environment.get("versions", {}).items())
        commit = (environment.get("commit") or "unknown")[:12]
        executed = f"{record['protocol']['backend']}, {record['protocol']['threads']} threads"
        words = f"{environment.get('processor', 'processor unknown')}; {executed}; {versions}; commit {commit}"
        found.setdefault(words, []).append(str(record["seed"]))
    return [(", ".join(dict.fromkeys(seeds)), words) for words, seeds in found.items()]


def _session(session):
    return {
        "where": machine(session),
        "busy": session.loaded_core is not None,
        "started": session.started,
        "finished": session.finished,
        "load": "" if session.load_before is None else f"{session.load_before:.2f}",
        "commit": (session.environment.get("commit") or "")[:12],
        "networks": [
            {
                "network": timing.network,
                "rounds": ", ".join(f"{1e3 * np.median(calls):.1f}" for calls in timing.seconds),
                "calls": timing.seconds.shape[1],
            }
            for timing in session.timings
        ],
    }


def _figures(folder):
    """Return the figures that lie in the folder, each as an address that holds the picture itself."""
    found = []
    for name, caption in CAPTIONS.items():
        kinds = {kind: folder / f"{name}.{ending}" for kind, ending in (("svg+xml", "svg"), ("png", "png"))}
        contents = {kind: path.read_bytes() for kind, path in kinds.items() if path.is_file()}
        if contents:
            kind = min(contents, key=lambda kind: len(contents[kind]))
            content = base64.b64encode(contents[kind]).decode()
            found.append({"name": name, "caption": caption, "address": f"data:image/{kind};base64,{content}"})
    return found
