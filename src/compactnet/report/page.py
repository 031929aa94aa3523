"""One self-contained HTML page: progress, tables, figures, and the records behind each value."""

import base64
import itertools
import re
from pathlib import Path

import jinja2
import markupsafe
import numpy as np

from compactnet.checks import format_shape
from compactnet.files import write_text
from compactnet.measure.speed_records import describe_machine
from compactnet.report.columns import Column, Section
from compactnet.report.figures import CAPTIONS
from compactnet.report.sources import Sources
from compactnet.report.tables import TABLES, make_tables
from compactnet.report.tables.accuracy_columns import samples_used
from compactnet.report.tables.run_rows import flatten
from compactnet.schema import SpeedRecord

NAME = "report.html"
CURVE_HEIGHT = 200
"""Height of a curve's picture, from 0 to 100 %, in units that round its points to whole numbers."""

TITLE = "compactnet: Channel Compression, reproduced"

PROGRESS = (
    Column("name", "experiment"),
    Column("data", "data"),
    Column("networks", "networks", "d"),
    Column("seeds", "seeds", "d"),
    Column("epochs", "epochs", "d"),
    Column("done", "runs done"),
    Column("failed", "failed", "d"),
    Column("samples", "samples used"),
)


def write_page(folder, sources: Sources, title=TITLE, tables=TABLES):
    """Write `report.html`, with the figures that `write_figures` wrote to the folder.

    Args:
        folder: Where it goes.
        sources: The `Sources`.
        title: Its heading.
        tables: Functions such as those in `TABLES`.

    Returns:
        Its path.

    Raises:
        InputError: a published table is missing, or the page cannot be written.
    """
    folder, evidence = Path(folder), _Evidence()
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("compactnet.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    figures = _figures(folder)
    progress = [_progress(experiment, sources) for experiment in sources.real]
    page = environment.get_template("report.html").render(
        title=title,
        progress=_section(Section("", PROGRESS), progress, evidence),
        any_runs=any(sources.members[experiment.name] for experiment in sources.real),
        tables=[_table(table, evidence) for table in make_tables(sources, tables) if table.rows and table.on_page],
        figures=figures,
        missing_figures=[name for name in CAPTIONS if name not in [figure["name"] for figure in figures]],
        failures=[failure for failed in sources.failures.values() for failure in failed],
        popovers=evidence.popovers(),
        curve_height=CURVE_HEIGHT,
    )
    write_text(folder / NAME, page)
    return folder / NAME


class _Evidence:
    """The records that cells open; several cells may open the same ones."""

    def __init__(self):
        self._popovers = {}

    def add(self, records):
        """Return the identifier of the popover with a list of run records, or with a speed record."""
        is_speed = isinstance(records, SpeedRecord)
        # Records are told apart by identity: two may have the same content.
        key = (id(records),) if is_speed else tuple(id(record) for record in records)
        if key not in self._popovers:
            shown = _speed_popover(records) if is_speed else _runs_popover(records)
            self._popovers[key] = {"name": f"{'benchmark' if is_speed else 'runs'}-{len(self._popovers) + 1}", **shown}
        return self._popovers[key]["name"]

    def popovers(self):
        """Return all popovers, in the order of the cells that open them."""
        return list(self._popovers.values())


def _progress(experiment, sources):
    """Return the row that says what of an experiment is done."""
    records = sources.members[experiment.name]
    planned = len(experiment.runs())
    return {
        "name": experiment.name,
        "data": experiment.data.description,
        "networks": len(experiment.networks),
        "seeds": len(experiment.seeds),
        "epochs": experiment.training.epochs,
        "done": f"{len(records)} of {planned}",
        "failed": len(sources.failures[experiment.name]),
        "samples": f"{samples_used(records)} {experiment.data.unit}" if records else None,
    }


def _table(table, evidence):
    return {
        "name": table.name,
        "title": table.title,
        "notes": [_emphasize(note) for note in table.notes],
        "sections": [_section(section, table.rows, evidence) for section in table.shown()],
    }


def _section(section, rows, evidence):
    return {
        "heading": section.heading,
        "note": _emphasize(section.note),
        "columns": section.columns,
        "rows": [[_cell(column, row, evidence) for column in section.columns] for row in rows],
    }


def _cell(column, row, evidence):
    """Return the text of a cell, its CSS classes, and what it opens."""
    text, records = column.text(row), row.get(column.link)
    style = column.style(row) if column.style else ""
    classes = " ".join(filter(None, ["number" if column.numeric else "", style]))
    return {"text": text, "classes": classes, "opens": evidence.add(records) if text and records else None}


def _emphasize(note):
    """Return a note as HTML; all that notes use of Markdown is emphasis and code."""
    text = str(markupsafe.escape(note))
    text = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", text)
    text = re.sub(r"\*(.+?)\*", r"<em>\1</em>", text)
    return markupsafe.Markup(re.sub(r"`(.+?)`", r"<code>\1</code>", text))


def _runs_popover(records):
    # A cell that compares networks has the runs of all of them.
    networks = list(dict.fromkeys(record.run.network.title for record in records))
    experiments = list(dict.fromkeys(record.run.experiment for record in records))
    # What differs between the runs is not of their config.
    fields = [list(flatten({**record.run.budget, "seed": None})) for record in records]
    shared = [field for field in fields[0] if all(field in one for one in fields)]
    return {
        "title": f"{'; '.join(networks)}, experiment {' and '.join(experiments)}",
        "runs": [_run(record, record.run.network.title if len(networks) > 1 else "") for record in records],
        "config": [(name, value) for name, value in shared if name != "seed"],
        "environments": _environments(records),
    }


def _run(record, network):
    last, best = 100 * record.last.test_accuracy, 100 * record.best.test_accuracy
    return {
        "title": ", ".join(filter(None, [f"Seed {record.run.seed}", network, record.run.data.fold_name])),
        "last": f"{last:.2f}",
        "best": f"{best:.2f} % (epoch {record.best.epoch})",
        "minutes": f"{record.duration_seconds / 60:.1f}",
        "test": _curve([epoch.test_accuracy for epoch in record.history]),
        "train": _curve([epoch.train_accuracy for epoch in record.history]),
        "record": record,
    }


def _curve(values):
    """Return an accuracy over the epochs as the data of a short SVG path: relative steps, equal ones as one."""
    heights = [round(CURVE_HEIGHT * (1 - value)) for value in values]
    rises = [after - before for before, after in itertools.pairwise(heights)]
    lengths = [(rise, len(list(equal))) for rise, equal in itertools.groupby(rises)]
    steps = [f"{length}{length * rise:+d}".replace("+", " ") for rise, length in lengths]
    return f"M0 {heights[0]}" + ("l" + " ".join(steps) if steps else "h1")


def _environments(records):
    """Return pairs (seeds, where they were run: processor, backend, versions and commit)."""
    found = {}
    for record in records:
        execution = record.run.execution
        resumed = [(segment.environment, f", from epoch {segment.from_epoch}") for segment in record.resumed]
        for environment, since in [(record.environment, ""), *resumed]:
            versions = ", ".join(f"{name} {version}" for name, version in environment.versions.items())
            where = f"{environment.processor}; {execution.title}, {execution.threads} threads; {versions}"
            commit = (environment.commit or "unknown")[:12]
            found.setdefault(f"{where}; commit {commit}", []).append(f"{record.run.seed}{since}")
    return [(", ".join(dict.fromkeys(seeds)), where) for where, seeds in found.items()]


def _speed_popover(record):
    work = record.work
    return {
        "title": f"Benchmark of {record.finished}: {work.kind}, {format_shape(work.input_shape)}",
        "benchmark": record,
        "machine": describe_machine(record),
        "networks": [
            {
                "name": timings.network,
                "rounds": ", ".join(f"{1e3 * np.median(calls):.1f}" for calls in timings.seconds),
                "calls": len(timings.seconds[0]),
            }
            for timings in record.networks
        ],
    }


def _figures(folder):
    """Return the figures in the folder, each as an address that contains the picture: the smaller of SVG and PNG."""
    found = []
    for name, caption in CAPTIONS.items():
        kinds = {kind: folder / f"{name}.{ending}" for kind, ending in (("svg+xml", "svg"), ("png", "png"))}
        contents = {kind: path.read_bytes() for kind, path in kinds.items() if path.is_file()}
        if contents:
            kind = min(contents, key=lambda kind: len(contents[kind]))
            content = base64.b64encode(contents[kind]).decode()
            found.append({"name": name, "caption": caption, "address": f"data:image/{kind};base64,{content}"})
    return found
