"""Timing in turns, with NumPy alone: what is compared runs interleaved in one process, because machines are noisy."""

import time
from dataclasses import dataclass

import numpy as np

from compactnet.errors import InputError


@dataclass(frozen=True)
class Timing:
    """Seconds of the timed calls of one candidate, in the order of the rounds."""

    seconds: np.ndarray

    @property
    def median(self):
        """Median in seconds."""
        return float(np.median(self.seconds))


def interleaved(candidates, rounds=30, warm_up=3):
    """Time callables in turns.

    Args:
        candidates: {name: function without arguments}; its work must be finished when it returns.
        rounds: Timed calls of each. The order rotates by one from round to round.
        warm_up: Untimed calls of each before the first round.

    Returns:
        {name: Timing}

    Raises:
        InputError: no candidates, or no rounds.
    """
    if not candidates or rounds < 1:
        raise InputError(f"Timing needs candidates and at least one round. Received: rounds={rounds}")
    names = list(candidates)
    for _ in range(warm_up):
        for name in names:
            candidates[name]()
    seconds = {name: [] for name in names}
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            began = time.perf_counter()
            candidates[name]()
            seconds[name].append(time.perf_counter() - began)
    return {name: Timing(np.array(values)) for name, values in seconds.items()}


def ratios(timings, reference):
    """Return {name: (median, first, third quartile)} of each round's time over the reference's in that round."""
    base = timings[reference].seconds
    return {
        name: tuple(float(v) for v in np.percentile(timing.seconds / base, (50, 25, 75)))
        for name, timing in timings.items()
    }
