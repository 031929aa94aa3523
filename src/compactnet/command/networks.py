"""`compactnet networks`: what the catalogue has."""

from compactnet.checks import aligned, suggest
from compactnet.commands import import_keras
from compactnet.errors import InputError

SUMMARY = "List the networks of the catalogue."
EXAMPLES = ("compactnet networks", "compactnet networks mobilenet")


def add_arguments(parser):
    """Add the arguments to a parser."""
    parser.add_argument("text", nargs="?", default="", metavar="TEXT", help="only those with this in name or title")


def run(options):
    """Print names and titles."""
    import_keras()
    from compactnet.networks import CATALOGUE

    text = options.text.lower()
    rows = [(name, spec.title) for name, spec in CATALOGUE.items() if text in name or text in spec.title.lower()]
    if not rows:
        raise InputError(f"No network has {options.text!r} in its name or title. {suggest(text, CATALOGUE, count=3)}")
    print("\n".join(aligned(rows, left=(0, 1))))
