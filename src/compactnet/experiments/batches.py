"""Batches in an order that is a function of (seed, epoch) alone."""

import keras
import numpy as np


class Batches(keras.utils.PyDataset):
    """The batches of one epoch, or of one evaluation.

    Args:
        dataset: A `compactnet.data.Dataset`.
        split: Its training or test `Split`.
        batch_size: Samples per batch; the last one may be smaller.
        order: Integer array, the order of the samples; None for the order on disk.
    """

    def __init__(self, dataset, split, batch_size, order=None):
        super().__init__()
        self._dataset, self._split, self._batch_size = dataset, split, batch_size
        self._order = np.arange(len(split)) if order is None else order

    def __len__(self):
        return -(-len(self._order) // self._batch_size)

    def __getitem__(self, index):
        start = index * self._batch_size
        return self._dataset.batch(self._split, self._order[start : start + self._batch_size])


def permutation(count, seed, epoch):
    """Return the order of the training samples in an epoch."""
    return np.random.default_rng([seed, epoch]).permutation(count)
