"""Models and arrays that are given as files."""

import shutil
import tempfile
from pathlib import Path

from compactnet.commands import suppress_stderr
from compactnet.errors import InputError

SUFFIX = ".keras"
RECORD = ".json"


def read_model(path):
    """Return the model of a file, not compiled.

    Args:
        path: A .keras file, whose layers may be those of Keras and of this package, or the record of a run that kept
            its weights, a .json file.

    Raises:
        InputError: there is no such file, Keras cannot read it, or the run's weights are missing.
    """
    import keras

    import compactnet.deploy.forms
    import compactnet.layers  # noqa: F401  Keras finds a layer once its class exists
    from compactnet.deploy.running import reason_of
    from compactnet.experiments.trained import load_trained

    path = Path(path)
    if path.suffix not in (SUFFIX, RECORD):
        raise InputError(
            f"{path} is no model. Give a {SUFFIX} file that Keras saved, or the record ({RECORD}) of a run trained "
            "with --keep-weights."
        )
    if not path.is_file():
        raise InputError(f"{path} does not exist.")
    if path.suffix == RECORD:
        return load_trained(path)[1]
    try:
        with suppress_stderr():
            return keras.saving.load_model(path, compile=False)
    except Exception as error:  # a damaged file, or a layer that is unknown here, can raise anything
        raise InputError(f"{path} cannot be read as a Keras model: {reason_of(error)[:300]}") from error


def check_suffix(path):
    """Return a path, which must end in .keras.

    Raises:
        InputError: it does not.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise InputError(f"{path} does not end in {SUFFIX}, as the file of a Keras model does.")
    return path


def write_model(model, path):
    """Save a model as a .keras file, in one step.

    Raises:
        InputError: the file cannot be written.
        ResourceError: the disk is full.
    """
    from compactnet.files import atomic_write

    with atomic_write(path) as partial, tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / f"model{SUFFIX}"  # Keras asks for the suffix
        model.save(saved)
        shutil.copyfile(saved, partial)


def read_samples(path):
    """Return the arrays x and y of an npz file; y is None where it has none.

    Raises:
        InputError: there is no such file, or it holds other arrays.
    """
    from compactnet.files import read_npz

    path = Path(path)
    try:
        arrays = read_npz(path)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except ValueError as error:
        raise InputError(f"{path} cannot be read as an npz file: {error}.") from error
    if "x" not in arrays or set(arrays) - {"x", "y"}:
        raise InputError(
            f"{path} must hold an array x of samples as the network takes them, and may hold y, their class numbers: "
            f"numpy.savez({path.name!r}, x=x, y=y). It holds: {', '.join(arrays) or 'nothing'}"
        )
    return arrays["x"], arrays.get("y")
