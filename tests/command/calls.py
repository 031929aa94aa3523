"""Calls the command in this process, as the shell would, without importing Keras once more."""

from compactnet.command import main
from tests.environment import restored_environment


def call(*arguments):
    """Run `compactnet` with command line arguments and return its exit status."""
    with restored_environment():
        return main([str(argument) for argument in arguments])


def assert_refused(outcome, capsys, *expected):
    """Check that a command ended with status 2, one line on standard error and nothing on standard output."""
    output, error = capsys.readouterr()
    assert (outcome, output) == (2, "")
    assert error.startswith("error: ")
    assert error.count("\n") == 1, error
    for text in expected:
        assert text in error
