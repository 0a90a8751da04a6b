import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from models import data
from models.data import DataError


def idx(images: np.ndarray) -> bytes:
    return struct.pack(">4B3I", 0, 0, 8, 3, *images.shape) + images.tobytes()


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small MNIST in torchvision's layout: 5,200 training images, 30 test images."""
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    (folder / "train-images-idx3-ubyte").write_bytes(idx(rng.integers(0, 256, (5200, 28, 28), dtype=np.uint8)))
    test = idx(rng.integers(0, 256, (30, 28, 28), dtype=np.uint8))
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(test))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data.load.cache_clear()
    return folder


def test_plain_and_gzipped_files_are_read(raw: Path, tmp_path: Path) -> None:
    images = data.load("mnist", tmp_path)
    assert images.train.shape == (200, 1, 28, 28)
    assert images.val.shape == (5000, 1, 28, 28)
    assert images.test.shape == (30, 1, 28, 28)
    pixels = data.pixels(images.train)
    assert pixels.dtype == torch.float32
    assert 0 <= pixels.min() < pixels.max() <= 1
    assert images.source == str(raw)


def test_the_split_is_fixed_and_takes_every_image_once(raw: Path, tmp_path: Path) -> None:
    first = data.load("mnist", tmp_path)
    data.load.cache_clear()
    second = data.load("mnist", tmp_path)
    assert torch.equal(first.val, second.val)
    assert first.digest == second.digest
    whole = data.pixels(torch.cat([first.train, first.val])).flatten(1).sum(1)
    stored = np.frombuffer((raw / "train-images-idx3-ubyte").read_bytes(), np.uint8, offset=16).reshape(5200, -1)
    assert torch.allclose(whole.sort().values, torch.tensor(stored).float().div(255).sum(1).sort().values, rtol=1e-4)


def test_data_are_decoded_once_for_all_processes(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = data.load("mnist", tmp_path)
    data.load.cache_clear()
    monkeypatch.setattr(data, "_read_idx", lambda path: pytest.fail(f"{path} is read again"))
    second = data.load("mnist", tmp_path)
    assert torch.equal(first.train, second.train)
    maps = Path("/proc/self/maps").read_text()
    assert all(str(path) in maps for path in data.cache_folder().glob("mnist-*.pt"))
    assert second.digest == first.digest


def test_files_that_have_changed_are_read_anew(raw: Path, tmp_path: Path) -> None:
    first = data.load("mnist", tmp_path)
    data.load.cache_clear()
    path = raw / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-784] + bytes(784))
    os.utime(path, (0, 0))
    assert data.load("mnist", tmp_path).digest != first.digest


def test_images_that_were_kept_but_torn_are_read_anew(raw: Path, tmp_path: Path) -> None:
    first = data.load("mnist", tmp_path)
    (path,) = data.cache_folder().iterdir()
    path.unlink()  # the mapping of the first keeps what it has
    path.write_bytes(b"torn")
    data.load.cache_clear()
    assert data.load("mnist", tmp_path).digest == first.digest
    assert not path.exists()


def test_a_cache_that_cannot_be_read_is_none(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("not yours")

    first = data.load("mnist", tmp_path)
    data.load.cache_clear()
    monkeypatch.setattr("torch.load", refuse)
    monkeypatch.setattr("pathlib.Path.unlink", refuse)
    assert data.load("mnist", tmp_path).digest == first.digest


def test_where_nothing_can_be_kept_data_are_read_all_the_same(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(data.load("mnist", tmp_path).train) == 200


def test_data_are_read_once_per_process(raw: Path, tmp_path: Path) -> None:
    assert data.load("mnist", tmp_path) is data.load("mnist", tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("train-images-idx3-ubyte", b"", "not an IDX file of images"),
        (
            "train-images-idx3-ubyte",
            idx(np.zeros((50, 28, 28), np.uint8))[:-1],
            "39,199 bytes of pixels, but its header",
        ),
        ("train-images-idx3-ubyte", idx(np.zeros((50, 28, 27), np.uint8)), "contains 50 images of 28x27, not 28x28"),
        ("train-images-idx3-ubyte", struct.pack(">4B3I", 0, 0, 8, 1, 5, 28, 28), "not an IDX file of images"),
        ("t10k-images-idx3-ubyte.gz", gzip.compress(b"x" * 999, mtime=0)[:-9], "corrupt gzip file"),
        ("t10k-images-idx3-ubyte.gz", b"no gzip at all", "corrupt gzip file"),
    ],
)
def test_a_corrupt_file_is_named(raw: Path, tmp_path: Path, name: str, content: bytes, why: str) -> None:
    (raw / name).write_bytes(content)
    with pytest.raises(DataError, match=why) as raised:
        data.load("mnist", tmp_path)
    assert str(raised.value).startswith(str(raw / name))
    assert "\n" not in str(raised.value)


@pytest.mark.slow
def test_missing_data_are_said_with_what_to_put_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import urllib.error
    import urllib.request

    def no_network(*arguments: object, **options: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    with pytest.raises(
        DataError, match=r"KMNIST is not in .* and cannot be downloaded \(.*\); put train-images-idx3"
    ) as e:
        data.load("kmnist", tmp_path)
    assert str(tmp_path / "KMNIST" / "raw") in str(e.value)


def test_too_few_images_to_hold_some_out_are_refused(raw: Path, tmp_path: Path) -> None:
    (raw / "train-images-idx3-ubyte").write_bytes(idx(np.zeros((5000, 28, 28), np.uint8)))
    with pytest.raises(DataError, match="5,000 training images are too few"):
        data.load("mnist", tmp_path)


def test_digits_need_no_files(tmp_path: Path) -> None:
    digits = data.load("digits", tmp_path)
    assert [len(part) for part in (digits.train, digits.val, digits.test)] == [1300, 200, 297]
    assert digits.test.shape[1:] == (1, 28, 28)
    assert data.pixels(digits.test).max() > 0.9
    assert list(tmp_path.iterdir()) == []


def test_the_data_folder_is_the_environments_or_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SWEEP_DATA_DIR", str(tmp_path))
    assert data.data_root() == tmp_path
    monkeypatch.delenv("SWEEP_DATA_DIR")
    assert data.data_root() == Path.cwd() / "data"


@pytest.mark.skipif("SWEEP_DATA_DIR" not in os.environ, reason="SWEEP_DATA_DIR names no real MNIST")
def test_real_mnist_has_its_known_mean_image() -> None:
    mnist = data.load("mnist", data.data_root())
    assert [len(part) for part in (mnist.train, mnist.val, mnist.test)] == [55_000, 5_000, 10_000]
    test, train = data.pixels(mnist.test), data.pixels(mnist.train)
    assert (test - train.mean(0)).square().mean().item() == pytest.approx(0.0673, abs=0.0005)
