import pandas as pd

from compactnet.report.markdown import Table, fill_section, remove_table, write_table


def test_numbers_are_written_one_way_and_missing_ones_stay_empty(tmp_path):
    frame = pd.DataFrame(
        {"model": ["a", "b"], "difference": [-0.001, None], "runs": [3, 4], "mflops_published": [1.0, 2]}
    )
    write_table(tmp_path, Table("t", "Title", ["A note."], frame))
    assert (tmp_path / "t.csv").read_text() == "model,difference,runs,mflops_published\na,0.00,3,1.0\nb,,4,2.0\n"
    assert (tmp_path / "t.md").read_text() == (
        "# Title\n\nA note.\n\n| model | difference | runs | mflops published |\n| --- | ---: | ---: | ---: |\n"
        "| a | 0.00 | 3 | 1.0 |\n| b |  | 4 | 2.0 |\n"
    )
    remove_table(tmp_path, "t")
    assert list(tmp_path.iterdir()) == []


def test_sections_show_columns_of_one_table_under_headings(tmp_path):
    frame = pd.DataFrame({"model": ["a"], "x": [1], "y": [2]})
    sections = {"First": {"model": "m", "x": "X"}, "Second": {"y": "Y"}}
    write_table(tmp_path, Table("t", "Title", [], frame, sections))
    assert (tmp_path / "t.md").read_text() == (
        "# Title\n\n## First\n\n| m | X |\n| --- | ---: |\n| a | 1 |\n\n## Second\n\n| Y |\n| ---: |\n| 2 |\n"
    )


def test_a_section_of_a_page_is_filled_and_the_rest_of_it_stays(tmp_path):
    page = tmp_path / "README.md"
    page.write_text("# Mine\n\n<!-- table1 -->\nold\n<!-- /table1 -->\n\nMine too.\n")
    frame = pd.DataFrame({"model": ["a"], "x": [1]})
    assert fill_section(page, "table1", [("Said.", frame, {"model": "m", "x": "X"})])
    filled = (
        "# Mine\n\n<!-- table1 -->\n\nSaid.\n\n| m | X |\n| --- | ---: |\n| a | 1 |\n\n<!-- /table1 -->\n\nMine too.\n"
    )
    assert page.read_text() == filled
    assert fill_section(page, "table1", [("Said.", frame, {"model": "m", "x": "X"})])
    assert page.read_text() == filled
    assert not fill_section(page, "table2", [])
    assert not fill_section(tmp_path / "missing.md", "table1", [])
    assert page.read_text() == filled
    assert list(tmp_path.iterdir()) == [page]
