"""Reads YAML files as experiments, and applies `--set`."""

from pathlib import Path

import yaml

from compactnet.errors import InputError
from compactnet.schema import Experiment
from compactnet.validation import shown, validate


class _Loader(yaml.SafeLoader):
    """Refuses a key that a mapping has twice, of which PyYAML would take the last."""

    def compose_mapping_node(self, anchor):
        # Here and not where mappings are constructed, because `<<` has added the keys of others there.
        node = super().compose_mapping_node(anchor)
        lines = {}
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            name = str(key.value)
            if (key.tag, name) in lines:
                raise yaml.YAMLError(
                    f"the key {name!r} is in line {lines[key.tag, name]} and again in line {key.start_mark.line + 1}. "
                    "Remove one of them."
                )
            lines[key.tag, name] = key.start_mark.line + 1
        return node


def load_experiment(path, overrides=()):
    """Read and check a YAML file.

    Args:
        path: The file.
        overrides: Texts "key.subkey=value", applied in order; values are read as YAML.

    Returns:
        An `Experiment`.

    Raises:
        InputError: the file does not exist or is not YAML, a key is unknown or missing, or a value is wrong.
    """
    path = Path(path)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise InputError(
            f"The config {path} cannot be read: {error.strerror}. Shipped ones are in configs/."
        ) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"The config {path} is not valid YAML: {reason}") from error
    if not isinstance(content, dict):
        raise InputError(f"The config {path} must be a mapping of keys to values, such as those in configs/.")
    for override in overrides:
        _merge(content, override)
    changed = f" with --set {' '.join(overrides)}" if overrides else ""
    return validate(Experiment, content, f"{path}{changed}")


def load_shipped(folder):
    """Return the experiments that tables are made for: the paper's, the ablations and those on generated data.

    Args:
        folder: The repository's `configs`.

    Raises:
        InputError: a config is wrong, or two have the same name.
    """
    found = {}
    for path in sorted(Path(folder).rglob("*.yaml")):
        experiment = load_experiment(path)
        if experiment.name in found:
            raise InputError(
                f"{found[experiment.name][0]} and {path} both have the name {experiment.name!r}. Give one of them "
                "another."
            )
        found[experiment.name] = path, experiment
    return [experiment for _, experiment in found.values()]


def _merge(content, override):
    """Set the key that an override names; whether it exists is for the models to say."""
    key, separator, text = override.partition("=")
    names = key.strip().split(".")
    if not separator or not all(names):
        raise InputError(f"--set takes key=value, for example training.epochs=3. Received: {shown(override)}")
    try:
        value = yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"--set {key}: the value {shown(text)} is not valid YAML.") from error
    section = content
    for depth, name in enumerate(names[:-1], 1):
        section = section.setdefault(name, {})
        if not isinstance(section, dict):
            raise InputError(f"--set {key}: {'.'.join(names[:depth])!r} has no keys of its own in the config.")
    section[names[-1]] = value
