"""A new table needs a function that returns it, and no change of the package."""

from types import SimpleNamespace

import pytest

from compactnet.report.columns import Column, Table
from compactnet.report.page import write_page
from compactnet.report.sources import read_sources
from compactnet.report.tables import TABLES, write_tables
from tests.report.factories import speed_record


# toy table
def toy_table(sources):
    columns = (
        Column("machine", "Machine"),
        Column("share", "Share, %", ".1f", lambda row: "above" if row["share"] > 50 else "below", link="record"),
    )
    rows = [
        {"machine": record.environment.processor, "share": 100 / number, "record": record}
        for number, record in enumerate(sources.speed_records, 1)
    ]
    return Table("toy", "A toy", ("With a *note*.",), columns, rows)


# end of the toy table


@pytest.fixture
def sources(tmp_path, repository):
    found = read_sources(tmp_path, [], repository / "results" / "paper", SimpleNamespace())
    found.speed_records.append(speed_record("vgg8"))
    return found


def test_a_toy_table_is_written_shown_and_opens_its_evidence(tmp_path, sources):
    assert toy_table not in TABLES
    assert write_tables(tmp_path, sources, [toy_table]) == ["toy"]
    assert (tmp_path / "toy.csv").read_text() == "machine,share\nmade-up processor,100.0\n"
    assert "| Machine | Share, % |\n| --- | ---: |\n" in (tmp_path / "toy.md").read_text()
    page = write_page(tmp_path, sources, tables=[toy_table]).read_text()
    assert '<h2 id="toy">A toy</h2>' in page
    assert "<p>With a <em>note</em>.</p>" in page
    cell = '<td class="number above"><button type="button" popovertarget="benchmark-1">100.0</button></td>'
    assert cell in page
    assert '<div popover id="benchmark-1"><h3>Benchmark of 2020-01-01: inference, 128x512x1</h3>' in page


def test_a_toy_table_without_rows_is_removed(tmp_path, sources):
    write_tables(tmp_path, sources, [toy_table])
    sources.speed_records.clear()
    assert write_tables(tmp_path, sources, [toy_table]) == []
    assert not list(tmp_path.glob("toy.*"))
