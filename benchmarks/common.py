"""What the benchmarks share: rows of measurements, one line of JSON each, and workers that say why they failed."""

import json
import subprocess
import sys

from compactnet.errors import InputError, ResourceError


def kept_rows(path):
    """Return the rows of a file, none if it does not exist."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def read_rows(path):
    """Return the rows of a file for a table.

    Raises:
        InputError: it has none.
    """
    rows = kept_rows(path)
    if not rows:
        raise InputError(f"{path} has no rows. Measure some first, without --table.")
    return rows


def write_rows(path, rows):
    """Write rows to a file, in one step."""
    from compactnet.files import write_text

    write_text(path, "".join(json.dumps(row) + "\n" for row in rows))


def comparable(rows, ways, conditions):
    """Return {network: {way: row}} of the networks that were measured in all ways, under the same conditions.

    The conditions are those of the last row, and the version that of the last row of a way. What was measured otherwise
    or lacks a way is left out, with a line on standard error.

    Args:
        rows: The rows; of several with the same network, way and conditions the last one counts.
        ways: The ways that a network needs.
        conditions: Fields that are the same in all rows that can be compared.
    """
    alike = [row for row in rows if all(row.get(name) == rows[-1].get(name) for name in conditions)]
    versions = {row["way"]: row.get("version") for row in alike}
    alike = [row for row in alike if row.get("version") == versions[row["way"]]]
    if len(alike) < len(rows):
        _say(f"{len(rows) - len(alike)} rows left out, not measured as the last: {', '.join(conditions)}, version.")
    networks = {}
    for row in alike:
        networks.setdefault(row["network"], {})[row["way"]] = row
    for network in list(networks):
        if missing := [way for way in ways if way not in networks[network]]:
            _say(f"{network} left out, not measured as: {', '.join(missing)}.")
            del networks[network]
    return networks


def _say(text):
    print(text, file=sys.stderr)


def run_worker(command, environment):
    """Run a worker and return what its last line says, as JSON.

    Raises:
        InputError, ResourceError: it failed, with its last words.
    """
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise failure(ended.returncode, ended.stderr)
    return json.loads(ended.stdout.splitlines()[-1])


def failure(status, log):
    """Return the exception for a worker that ended with a status, from what it wrote to standard error."""
    last = (log.strip().splitlines() or ["no output"])[-1].removeprefix("error: ")
    return InputError(last) if status == 2 else ResourceError(f"A worker ended with status {status}: {last}")
