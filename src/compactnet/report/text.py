"""Tables as CSV and Markdown files."""

import csv
import io

from compactnet.errors import InputError
from compactnet.files import remove, write_text
from compactnet.report.columns import Table

ENDINGS = ("csv", "md")


def write_table(folder, table: Table):
    """Write a table as CSV, with all columns, and as a Markdown page."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(column.name for column in table.columns)
    writer.writerows([column.text(row) for column in table.columns] for row in table.rows)
    write_text(folder / f"{table.name}.csv", text.getvalue())
    blocks = [f"# {table.title}", *table.notes]
    for section in table.shown():
        heading = f"## {section.heading}" if section.heading else ""
        blocks += [heading, section.note, markdown(section.columns, table.rows)]
    write_text(folder / f"{table.name}.md", "\n\n".join(filter(None, blocks)) + "\n")


def remove_table(folder, name):
    """Remove the files of a table, if they exist."""
    for ending in ENDINGS:
        remove(folder / f"{name}.{ending}")


def markdown(columns, rows):
    """Return a Markdown table with some columns of rows."""
    lines = [[column.heading for column in columns], ["---:" if column.numeric else "---" for column in columns]]
    lines += [[_escaped(column.text(row)) for column in columns] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escaped(text):
    """Return text that stays in its cell: titles and claims come from configs."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def fill_section(path, name, note, columns, rows):
    """Write a table into a Markdown page, see `fill_place`.

    Args:
        path: The page.
        name: Name of the place.
        note: Text above the table.
        columns: The table's `Column`s.
        rows: Its rows.

    Returns:
        Whether the page has such a place.

    Raises:
        InputError: as `fill_place`.
    """
    return fill_place(path, name, f"{note}\n\n{markdown(columns, rows)}")


def fill_place(path, name, text):
    """Write text into a Markdown page, between the lines `<!-- name -->` and `<!-- /name -->`.

    Args:
        path: The page; one that does not exist or has neither line stays as it is.
        name: Name of the place.
        text: The text.

    Returns:
        Whether the page has such a place.

    Raises:
        InputError: the page has one of the lines, but not both in this order.
    """
    page = path.read_text(encoding="utf-8") if path.is_file() else ""
    first, last = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    before, begin, rest = page.partition(first)
    _, end, after = rest.partition(last)
    if first not in page and last not in page:
        return False
    if not end:
        raise InputError(
            f"{path}: a place for a table needs the lines {first.strip()} and {last.strip()}, one of each."
        )
    write_text(path, f"{before}{begin}\n{text}\n\n{end}{after}")
    return True
