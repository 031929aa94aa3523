import hashlib
import json
import pickle
import shutil

import numpy as np
import pytest

from compactnet.data import Cifar10, cifar10
from compactnet.data.dataset import GENERATED_MANIFEST
from compactnet.data.synthetic import generate_cifar10
from compactnet.errors import InputError
from tests.data.exploit import Exploit

BATCH = "data_batch_3"


@pytest.fixture
def folder(generated_images, tmp_path):
    shutil.copytree(generated_images, tmp_path, dirs_exist_ok=True)
    return tmp_path


def batch_path(folder):
    return folder / cifar10.FOLDER / BATCH


def replace_batch(folder, content):
    """Put other bytes in a batch's place and make the manifest vouch for them, as a forger would."""
    batch_path(folder).write_bytes(content)
    manifest = folder / cifar10.FOLDER / GENERATED_MANIFEST
    described = json.loads(manifest.read_text())
    described["md5"][BATCH] = hashlib.md5(content).hexdigest()
    manifest.write_text(json.dumps(described))


def test_generated_batches_load_as_uint8_images_with_every_class(generated_images):
    dataset = Cifar10(generated=True).load(generated_images)
    assert dataset.train.samples.shape == (160, 32, 32, 3)
    assert dataset.train.samples.dtype == np.uint8
    assert dataset.test.samples.shape == (40, 32, 32, 3)
    assert set(dataset.train.labels) == set(range(10))
    assert dataset.generated
    assert dataset.coverage == {"train": {"used": 160, "total": 160}, "test": {"used": 40, "total": 40}}


def test_batches_of_a_split_are_normalized_by_the_training_split_alone(generated_images):
    dataset = Cifar10(generated=True).load(generated_images)
    samples, labels = dataset.batch(dataset.train, np.arange(160))
    assert samples.dtype == np.float32
    assert labels.dtype == np.int32
    np.testing.assert_allclose(samples.mean(axis=(0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(samples.std(axis=(0, 1, 2)), 1, atol=1e-4)
    test_samples, _ = dataset.batch(dataset.test, np.arange(40))
    expected = (dataset.test.samples - dataset.mean) / dataset.std
    np.testing.assert_allclose(test_samples, expected, atol=1e-5)


def test_channels_are_the_planes_of_the_file(generated_images):
    with (generated_images / cifar10.FOLDER / cifar10.TEST_BATCH).open("rb") as file:
        raw = pickle.load(file)
    dataset = Cifar10(generated=True).load(generated_images)
    for channel in range(3):
        plane = raw[b"data"][5, channel * 1024 : (channel + 1) * 1024].reshape(32, 32)
        np.testing.assert_array_equal(dataset.test.samples[5, ..., channel], plane)
    np.testing.assert_array_equal(dataset.test.labels, raw[b"labels"])


def test_statistics_are_those_of_the_images_used(generated_images):
    part = Cifar10(generated=True, train_samples=50).load(generated_images)
    samples, _ = part.batch(part.train, np.arange(50))
    np.testing.assert_allclose(samples.mean((0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(samples.std((0, 1, 2)), 1, atol=1e-4)


def test_classes_have_the_names_of_the_data_set_in_its_order():
    # Its batches.meta.
    assert " ".join(cifar10.CLASS_NAMES) == "airplane automobile bird cat deer dog frog horse ship truck"


def test_a_limit_keeps_the_first_samples_and_shows_in_the_coverage(generated_images):
    whole = Cifar10(generated=True).load(generated_images)
    part = Cifar10(generated=True, train_samples=50, test_samples=7).load(generated_images)
    np.testing.assert_array_equal(part.train.samples, whole.train.samples[:50])
    np.testing.assert_array_equal(part.test.labels, whole.test.labels[:7])
    assert part.coverage == {"train": {"used": 50, "total": 160}, "test": {"used": 7, "total": 40}}
    with pytest.raises(InputError, match=r"train_samples=161 .* 160"):
        Cifar10(generated=True, train_samples=161).load(generated_images)


def test_a_missing_folder_and_a_missing_batch_are_named_with_the_remedy(folder):
    with pytest.raises(InputError, match=r"nowhere does not exist.*make data-ic"):
        Cifar10().load(folder / "nowhere")
    with pytest.raises(InputError, match=r"has no cifar-10-batches-py.*make data-ic"):
        Cifar10().load(folder / cifar10.FOLDER)
    batch_path(folder).unlink()
    with pytest.raises(InputError, match=r"data_batch_3 is missing. Delete the folder .*cifar-10-batches-py"):
        Cifar10(generated=True).load(folder)


def test_generated_images_are_never_taken_for_the_official_ones(generated_images):
    with pytest.raises(InputError, match=r"holds generated images, not CIFAR-10.*DATA=folder"):
        Cifar10().load(generated_images)


def test_a_truncated_batch_is_refused(folder):
    content = batch_path(folder).read_bytes()
    batch_path(folder).write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=rf"data_batch_3 is damaged.*{len(content) // 2:,} bytes"):
        Cifar10(generated=True).load(folder)


def test_a_batch_with_one_byte_changed_is_refused(folder):
    content = bytearray(batch_path(folder).read_bytes())
    content[len(content) // 2] ^= 1
    batch_path(folder).write_bytes(content)
    with pytest.raises(InputError, match=r"data_batch_3 is damaged"):
        Cifar10(generated=True).load(folder)


def test_a_pickle_that_calls_a_function_is_refused_without_calling_it(folder, tmp_path):
    witness = tmp_path / "executed"
    replace_batch(folder, pickle.dumps({b"data": Exploit(f"touch {witness}"), b"labels": []}))
    with pytest.raises(InputError, match=r"data_batch_3 is not a CIFAR-10 batch.*system"):
        Cifar10(generated=True).load(folder)
    assert not witness.exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "EOFError"),
        (b"<!DOCTYPE html><html></html>", "is not a CIFAR-10 batch"),
        (pickle.dumps([1, 2], protocol=4), "is not a CIFAR-10 batch"),
        (pickle.dumps({b"data": np.zeros((2, 7), np.uint8), b"labels": [0, 1]}, protocol=4), "uint8 of shape"),
        (pickle.dumps({b"data": np.zeros((2, 3072), np.float32), b"labels": [0, 1]}, protocol=4), "uint8 of shape"),
        (pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 10]}, protocol=4), "from 0 to 9"),
    ],
)
def test_a_file_that_is_not_a_batch_is_refused_with_its_name(folder, content, reason):
    replace_batch(folder, content)
    with pytest.raises(InputError, match=rf"data_batch_3.*{reason}"):
        Cifar10(generated=True).load(folder)


def test_a_damaged_manifest_is_refused(folder):
    manifest = folder / cifar10.FOLDER / GENERATED_MANIFEST
    for content in ("{", '{"md5": {}}', '{"generated": true}'):
        manifest.write_text(content)
        with pytest.raises(InputError, match=r"generated\.json"):
            Cifar10(generated=True).load(folder)
        with pytest.raises(InputError, match="holds other data"):
            generate_cifar10(folder, 160, 40)
    manifest.unlink()
    with pytest.raises(InputError, match=r"make reproduce-sample"):
        Cifar10(generated=True).load(folder)


def test_generation_is_repeatable_and_leaves_other_images_alone(tmp_path):
    first = generate_cifar10(tmp_path / "one", 20, 10, seed=3)
    second = generate_cifar10(tmp_path / "two", 20, 10, seed=3)
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes()
    changed = (first / cifar10.TEST_BATCH).stat().st_mtime_ns
    assert generate_cifar10(tmp_path / "one", 20, 10, seed=3) == first
    assert (first / cifar10.TEST_BATCH).stat().st_mtime_ns == changed
    with pytest.raises(InputError, match="holds other data"):
        generate_cifar10(tmp_path / "one", 20, 10, seed=4)
    with pytest.raises(InputError, match="multiple of 5"):
        generate_cifar10(tmp_path / "three", 21, 10)


def test_the_real_batches_are_the_official_ones(real_data):
    dataset = Cifar10().load(real_data)
    assert dataset.train.samples.shape == (50_000, 32, 32, 3)
    assert dataset.test.samples.shape == (10_000, 32, 32, 3)
    assert np.bincount(dataset.train.labels).tolist() == [5_000] * 10
    assert np.bincount(dataset.test.labels).tolist() == [1_000] * 10
    assert not dataset.generated
    # The channel means of CIFAR-10 that the literature gives, in units of 1/255.
    np.testing.assert_allclose(dataset.mean.ravel() / 255, [0.4914, 0.4822, 0.4465], atol=1e-4)
    np.testing.assert_allclose(dataset.std.ravel() / 255, [0.2470, 0.2435, 0.2616], atol=1e-4)


def test_a_real_batch_with_one_byte_changed_is_refused(real_data, tmp_path):
    shutil.copytree(real_data / cifar10.FOLDER, tmp_path / cifar10.FOLDER)
    with batch_path(tmp_path).open("r+b") as file:
        file.seek(20_000_000)
        byte = file.read(1)
        file.seek(20_000_000)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(InputError, match=r"data_batch_3 is damaged.*make data-ic"):
        Cifar10().load(tmp_path)
