"""The command `compactnet`.

Each subcommand is a module with SUMMARY, EXAMPLES, `add_arguments` and `run`. They import what they need when they run:
`compactnet predict` works where Keras is not installed, and help comes at once.
"""

import argparse
import functools
import os

import compactnet
from compactnet.command import benchmark, complexity, compress, export, networks, predict
from compactnet.commands import Parser, exit_status
from compactnet.errors import InputError

COMMANDS = {
    "networks": networks,
    "complexity": complexity,
    "compress": compress,
    "export": export,
    "predict": predict,
    "benchmark": benchmark,
}
"""{name of a subcommand: its module}"""


def main(arguments=None):
    """Run the command and return its exit status.

    Args:
        arguments: Sequence of texts; None for those of this process.

    Returns:
        0; 2 where something given is wrong, with one line on standard error for each problem; 1 where the machine
        failed; 130 after Ctrl-C.
    """
    # TensorFlow reports its start-up there; what matters comes as an error.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return exit_status(functools.partial(_run, arguments))


def parser():
    """Return the `argparse.ArgumentParser` of the command and its subcommands."""
    top = Parser(prog="compactnet", description="Compress, export and run Keras networks with compact convolutions.")
    top.add_argument("--version", action="version", version=f"compactnet {compactnet.__version__}")
    subcommands = top.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, module in COMMANDS.items():
        examples = "".join(f"\n  {line}" for line in module.EXAMPLES)
        one = subcommands.add_parser(
            name,
            help=module.SUMMARY[0].lower() + module.SUMMARY[1:].rstrip("."),
            description=module.SUMMARY,
            epilog=f"examples:{examples}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(one)
    return top


def _run(arguments):
    top = parser()
    options = top.parse_args(arguments)
    if options.command is None:
        top.print_help()
        return None
    try:
        return COMMANDS[options.command].run(options)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "compactnet":
            raise
        raise InputError(
            f"compactnet {options.command} needs the module {error.name}, which is not installed."
        ) from error
