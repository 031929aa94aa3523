import pytest

from compactnet.errors import InputError
from compactnet.report.columns import Column, Section, Table, select
from compactnet.report.text import fill_section, markdown, remove_table, write_table

MODEL, X, Y = Column("model", "m"), Column("x", "X", "d"), Column("y", "Y", "d")


def test_numbers_follow_the_format_and_missing_ones_are_empty(tmp_path):
    columns = (
        Column("model", "model"),
        Column("difference", "difference", ".2f"),
        Column("runs", "number of runs", "d"),
        Column("mflops", "MFLOPs, paper", ".1f"),
    )
    rows = [{"model": "a", "difference": -0.001, "runs": 3, "mflops": 1.0}, {"model": "b", "runs": 4, "mflops": 2}]
    write_table(tmp_path, Table("t", "Title", ("A note.",), columns, rows))
    assert (tmp_path / "t.csv").read_text() == "model,difference,runs,mflops\na,0.00,3,1.0\nb,,4,2.0\n"
    assert (tmp_path / "t.md").read_text() == (
        "# Title\n\nA note.\n\n| model | difference | number of runs | MFLOPs, paper |\n| --- | ---: | ---: | ---: |\n"
        "| a | 0.00 | 3 | 1.0 |\n| b |  | 4 | 2.0 |\n"
    )
    remove_table(tmp_path, "t")
    assert list(tmp_path.iterdir()) == []


def test_sections_show_columns_of_one_table_under_headings(tmp_path):
    sections = (Section("First", (MODEL, X)), Section("Second", select((MODEL, X, Y), {"y": "Z", "missing": "M"})))
    write_table(tmp_path, Table("t", "Title", (), (MODEL, X, Y), [{"model": "a", "x": 1, "y": 2}], sections))
    assert (tmp_path / "t.csv").read_text() == "model,x,y\na,1,2\n"
    assert (tmp_path / "t.md").read_text() == (
        "# Title\n\n## First\n\n| m | X |\n| --- | ---: |\n| a | 1 |\n\n## Second\n\n| Z |\n| ---: |\n| 2 |\n"
    )


def test_text_stays_in_its_cell():
    row = {"model": "a|b\n<script>alert(1)</script>", "x": 1}
    assert markdown((MODEL, X), [row]).splitlines()[2] == "| a\\|b &lt;script>alert(1)&lt;/script> | 1 |"


def test_a_value_that_does_not_fit_its_column_is_an_error():
    with pytest.raises(ValueError, match="format code 'd'"):
        X.text({"x": 1.5})


def test_a_place_in_a_page_is_filled_and_the_rest_of_the_page_stays(tmp_path):
    page = tmp_path / "README.md"
    page.write_text("# Mine\n\n<!-- table1 -->\nold\n<!-- /table1 -->\n\nMine too.\n")
    arguments = ("table1", "A note.", (MODEL, X), [{"model": "a", "x": 1}])
    filled = (
        "# Mine\n\n<!-- table1 -->\n\nA note.\n\n| m | X |\n| --- | ---: |\n| a | 1 |\n\n<!-- /table1 -->\n\n"
        "Mine too.\n"
    )
    for _ in range(2):
        assert fill_section(page, *arguments)
        assert page.read_text() == filled
    assert not fill_section(page, "table2", *arguments[1:])
    assert not fill_section(tmp_path / "missing.md", *arguments)
    assert page.read_text() == filled
    assert list(tmp_path.iterdir()) == [page]


@pytest.mark.parametrize(
    "lines", ["<!-- x -->\n", "<!-- /x -->\n", "<!-- /x -->\n<!-- x -->\n", "<!-- x -->\ntext\n<!-- /y -->\n"]
)
def test_a_place_that_lost_a_line_is_refused(tmp_path, lines):
    page = tmp_path / "README.md"
    page.write_text(lines)
    with pytest.raises(InputError, match=r"README.md: a place for a table needs the lines <!-- x --> and <!-- /x -->"):
        fill_section(page, "x", "A note.", (MODEL, X), [])
    assert page.read_text() == lines
