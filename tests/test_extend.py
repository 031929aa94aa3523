"""An own convolution, network or data set works without a change to the package."""

from typing import ClassVar, Literal

import keras
import numpy as np
import pytest

from compactnet.data import Dataset, Fold, Split
from compactnet.data.dataset import fingerprint, statistics
from compactnet.experiments.train import train_run
from compactnet.measure import complexity
from compactnet.networks import VGG8, Convolution, MobileNetV1, NetworkSpec, ResNet50, Skeleton, build
from compactnet.networks.convolutions import batch_norm_activation
from compactnet.schema import Experiment, Network
from compactnet.validation import Count


# toy convolution
class ToyConvolution(Convolution):
    """A mean over each 3x3 neighbourhood, followed by a 1x1 convolution."""

    kind: Literal["toy"] = "toy"
    size: Count = 3

    def __call__(self, inputs, filters, defaults, strides=1, name=None):
        outputs = keras.layers.AveragePooling2D(self.size, strides, defaults.padding, name=f"{name}_mean")(inputs)
        return keras.layers.Conv2D(filters, 1, use_bias=defaults.use_bias, name=name)(outputs)


# end of the toy convolution


# toy network
class ToySkeleton(Skeleton):
    """Blocks that halve the feature map."""

    kind: Literal["toy"] = "toy"
    blocks: Count = 2

    def features(self, inputs, convolution):
        defaults, outputs = self.layer_defaults(padding="same", use_bias=True, activation="relu"), inputs
        for block in range(self.blocks):
            outputs = convolution(outputs, self.channels(8), defaults, strides=2, name=f"block{block}")
            outputs = batch_norm_activation(outputs, defaults, name=f"block{block}")
        return outputs


TOY_NETWORK = NetworkSpec(title="Toy", skeleton=ToySkeleton(), convolution=ToyConvolution())
# end of the toy network


# toy data set
class ToyData(Fold):
    """Noise images, dark or bright."""

    source: Literal["toy"] = "toy"
    samples: Count = 40

    title: ClassVar = "Toy images"
    unit: ClassVar = "images"
    sample_shape: ClassVar = (8, 8, 1)
    sample_bytes: ClassVar = 4 * 8 * 8
    class_names: ClassVar = ("even", "odd")

    def official_counts(self):
        return self.samples, self.samples

    def load(self, folder):
        labels = np.arange(self.samples) % self.classes
        noise = np.random.default_rng(0).normal(size=(2, self.samples, *self.sample_shape)).astype(np.float32)
        train, test = (Split(values + labels[:, None, None, None], labels) for values in noise)
        mean, std = statistics(train)
        return Dataset(
            train=train,
            test=test,
            class_names=("dark", "bright"),
            mean=mean,
            std=std,
            fingerprint=fingerprint({"toy": self.samples}),
            coverage={split: {"used": self.samples, "total": self.samples} for split in ("train", "test")},
            generated=self.generated,
        )


# end of the toy data set


class ToyConvolutionWithoutPointwise(ToyConvolution):
    ends_in_pointwise: ClassVar = False


def experiment(*networks):
    return Experiment.model_validate(
        {
            "name": "toy",
            "data": ToyData(generated=True, samples=20),
            "networks": networks,
            "training": {"epochs": 1},
            "seeds": [0, 1],
        }
    )


@pytest.fixture
def toys():
    return experiment(
        Network(name="toy", **dict(TOY_NETWORK)),
        {"name": "deep", "title": "Deep", "skeleton": ToySkeleton(blocks=3), "convolution": ToyConvolution(size=5)},
        {"name": "mobile", "base": "mobilenet_v1_025", "convolution": ToyConvolution()},
    )


def test_a_toy_network_is_built_and_counted():
    model = build(TOY_NETWORK, (8, 8, 1), classes=3)
    assert model.name == "toy"
    outputs = keras.ops.convert_to_numpy(model(np.ones((2, 8, 8, 1), "float32")))
    np.testing.assert_allclose(outputs.sum(axis=1), 1, rtol=1e-5)
    counted = complexity(model)
    assert counted.unknown == ()
    assert counted.flops == 2 * (4 * 4 * 8 + 2 * 2 * 8 * 8)
    assert counted.params == (8 + 8) + (64 + 8) + 2 * 4 * 8 + (8 * 3 + 3)


@pytest.mark.parametrize(
    ("skeleton", "places"),
    [(VGG8(width=0.125, padding="same"), 6), (ResNet50(width=0.125), 16), (MobileNetV1(width=0.125), 13)],
    ids=lambda value: getattr(value, "kind", None),
)
def test_a_toy_convolution_takes_its_place_in_every_skeleton(skeleton, places):
    model = build(NetworkSpec(title="toy", skeleton=skeleton, convolution=ToyConvolution()), (32, 32, 3))
    assert sum(layer.name.endswith("_mean") for layer in model.layers) == places
    assert complexity(model).unknown == ()


@pytest.mark.parametrize("convolution", [ToyConvolution(), ToyConvolutionWithoutPointwise()], ids=lambda toy: type(toy))
def test_a_skeleton_adds_a_pointwise_convolution_only_where_the_toy_has_none(convolution):
    model = build(NetworkSpec(title="toy", skeleton=ResNet50(width=0.125), convolution=convolution), (32, 32, 3))
    names = {layer.name for layer in model.layers}
    place = "stage4_block3_expand" if convolution.ends_in_pointwise else "stage4_block3_conv"
    assert f"{place}_mean" in names
    assert ("stage4_block3_conv_normalization" in names) == (not convolution.ends_in_pointwise)
    assert model.get_layer(place).filters == (256 if convolution.ends_in_pointwise else 64)
    assert model.get_layer("stage4_block3_expand").filters == 256


def test_a_toy_experiment_plans_runs_that_build_their_networks(toys):
    runs = toys.runs()
    assert [run.title for run in runs[:3]] == ["toy seed 0", "deep seed 0", "mobile seed 0"]
    assert len(runs) == 6
    assert len({run.protocol_hash("toy") for run in runs}) == 6
    for run, last in zip(runs[:3], ("block1_mean", "block2_mean", "block13_mean"), strict=True):
        model = run.build()
        assert model.get_layer(last)
        assert (model.input_shape, model.output_shape) == ((None, 8, 8, 1), (None, 2))


def test_the_json_of_a_toy_experiment_has_all_fields_of_its_toys(toys):
    run = toys.runs(only=["deep"])[0]
    content = run.model_dump(mode="json")
    assert content["data"] == {"source": "toy", "generated": True, "samples": 20}
    assert content["network"]["convolution"] == {"kind": "toy", "size": 5}
    assert content["network"]["skeleton"]["blocks"] == 3
    for text in (run.model_dump_json(), toys.model_dump_json()):
        assert '"samples":20' in text
        assert '"blocks":3' in text
        assert '"size":5' in text


def test_a_toy_run_is_trained_to_a_record(toys):
    run = toys.runs(only=["toy"])[0]
    record = train_run(run, "unused")
    assert record.run == run
    assert record.history[0].train_loss > 0
    assert record.coverage["train"].used == run.data.samples


def test_a_toy_data_set_gives_normalized_batches(toys):
    data = toys.runs()[0].data
    dataset = data.load("unused")
    assert dataset.sample_shape == data.sample_shape
    samples, labels = dataset.batch(dataset.train, np.arange(data.samples))
    assert abs(samples.mean()) < 1e-5
    assert samples[labels == 1].mean() > samples[labels == 0].mean()
