"""Predictions from an exported file alone, without Keras."""

from pathlib import Path

import numpy as np
import scipy.special

from compactnet.checks import check_integer
from compactnet.deploy.preprocessing import from_json
from compactnet.deploy.running import check_input, open_file, run_sample
from compactnet.errors import InputError


def load(filepath, threads=1):
    """Open an exported file.

    Args:
        filepath: What `compactnet.deploy.export` wrote, or another file of LiteRT, ONNX or OpenVINO, or folder of a
            SavedModel, with one input and one output.
        threads: Processor threads. A SavedModel takes those that TensorFlow has.

    Returns:
        A `DeployedModel`.

    Raises:
        InputError: the file is missing, damaged or of an unknown format, its runtime is not installed, or `threads` is
            not a positive integer.
    """
    threads = check_integer("threads", threads)
    return DeployedModel(filepath, open_file(filepath, threads))


class DeployedModel:
    """An exported file, ready to predict.

    Attributes:
        path: The file.
        input_shape: Shape of a sample.
        labels: Name of each class, or None where the file has none.
        preprocessing: An `AudioPreprocessing` or `ImagePreprocessing`, or None where the file has none.
        metadata: All metadata of the file as a dictionary, or None.
    """

    def __init__(self, path, running):
        self.path = Path(path)
        self.metadata = running.metadata
        self.input_shape = running.input_shape[1:]
        self._running = running
        metadata = running.metadata or {}
        self.labels = metadata.get("labels")
        self.preprocessing = from_json(metadata.get("preprocessing"))

    def predict(self, x):
        """Return the outputs for a batch of samples.

        Args:
            x: Array of shape (n, *input_shape), preprocessed.

        Returns:
            Array of shape (n, classes).

        Raises:
            InputError: `x` has another shape, or the file takes no float32 samples.
        """
        samples = check_input(x, self.input_shape)
        outputs = (run_sample(self.path, self._running, sample[np.newaxis]) for sample in samples)
        return np.concatenate([output.copy() for output in outputs])

    def classify(self, path, top=3):
        """Return the most probable classes of a sound or image file.

        Args:
            path: The file, such as "street.wav" or "cat.png".
            top: Number of classes.

        Returns:
            List of (label, probability), the most probable first. Of a network that ends in logits it is their softmax,
            of one that ends in sigmoids the probability of each class by itself.

        Raises:
            InputError: `path` cannot be read, or the exported file says nothing of labels and preprocessing.
        """
        check_integer("top", top)
        if self.labels is None or self.preprocessing is None:
            raise InputError(
                f"{self.path} does not say how its input is made and what its classes are called. Export it with "
                "`labels` and `preprocessing`, or call predict() with an array."
            )
        (outputs,) = self.predict(self.preprocessing(path, self.input_shape)[np.newaxis])
        probabilities = outputs if self.metadata["probabilities"] else scipy.special.softmax(outputs)
        best = np.argsort(-probabilities, kind="stable")[:top]
        return [(self.labels[index], float(probabilities[index])) for index in best]
