"""The three backends compute the same: from the same weights, the first step has the same loss."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest

from compactnet.processes import BACKENDS, job_environment

NETWORKS = ("xvgg8", "compact_vgg_max_c2", "compact_resnet_average_c4", "compact_mobilenet_sum_c2", "shufflenet_v1_050")
"""One of each family and operation, without dropout."""

PROGRAM = """
import json, sys
import keras
import numpy as np
from compactnet.networks import CATALOGUE, VGG8, build

folder, losses = sys.argv[1], {}
generator = np.random.default_rng(0)
samples = generator.normal(size=(32, 32, 32, 3)).astype("float32")
labels = generator.integers(0, 10, 32)
for name in sys.argv[2:]:
    spec = CATALOGUE[name]
    if spec.skeleton.kind == "vgg8":
        spec = spec.model_copy(update={"skeleton": VGG8(padding="same")})
    keras.utils.set_random_seed(0)
    model = build(spec, (32, 32, 3), name=name)
    path = f"{folder}/{name}.npz"
    if keras.config.backend() == "tensorflow":
        np.savez(path, *model.get_weights())
    else:
        file = np.load(path)
        model.set_weights([file[key] for key in file.files])
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=keras.config.backend() == "jax")
    losses[name] = float(model.train_on_batch(samples, labels))
print(json.dumps(losses))
"""


@pytest.mark.slow
def test_the_first_steps_loss_agrees_across_backends(tmp_path):
    losses = {}
    for backend in BACKENDS:  # TensorFlow first: it draws the weights
        if importlib.util.find_spec(backend) is None:
            continue
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM, tmp_path, *NETWORKS],
            env=job_environment(backend, 2, "cpu"),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        losses[backend] = json.loads(ran.stdout.splitlines()[-1])
    if len(losses) < 2:
        pytest.skip(f"only {', '.join(losses)} is installed")
    for name in NETWORKS:
        values = [of_backend[name] for of_backend in losses.values()]
        assert np.isfinite(values).all()
        assert max(values) - min(values) < 1e-4, (name, losses)
