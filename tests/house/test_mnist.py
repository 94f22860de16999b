"""scripts/mnist.py from end to end, on a few small images."""

import re

import mnist
import mnist_data
import numpy as np
import pytest

from support.idx_files import idx


@pytest.fixture
def folder(tmp_path):
    """Four IDX files: 1,500 and 300 images."""
    parts = mnist_data.synthetic(n_train=1500, n_test=300)[1:]
    for name, part in zip(mnist_data.FILES, parts, strict=True):
        (tmp_path / name).write_bytes(idx(part.reshape(-1, 28, 28) if part.ndim == 2 else part))
    return tmp_path


@pytest.mark.slow
def test_prints_what_it_reached_and_how_fast(folder, capsys):
    mnist.main(["--data", str(folder), "--epochs", "2", "--seed", "1"])
    head, ready, *epochs, test, speed = capsys.readouterr().out.splitlines()
    assert "1250 images to train 784-512-256-10" in head
    assert "250 to validate, 300 to test" in head
    assert re.fullmatch(r"kernels ready after [\d.]+ s", ready)
    assert len(epochs) == 2
    for line in epochs:
        assert re.fullmatch(
            r"epoch \d/2  loss [\d.]+  val_loss [\d.]+  val_accuracy [\d.]+  [\d,]+ samples/s", line
        )
    accuracy = float(re.fullmatch(r"test accuracy ([\d.]+)%", test).group(1))
    assert accuracy > 20
    assert re.fullmatch(
        r"fastbp [\d,]+ samples/s, the NumPy baseline [\d,]+: [\d.]+ times as fast", speed
    )


def test_refuses_no_epochs(capsys):
    with pytest.raises(SystemExit):
        mnist.main(["--epochs", "0"])
    assert "--epochs 0: it must be 1 or more" in capsys.readouterr().err


def test_holds_out_the_last_sixth():
    X, y = np.arange(60_000)[:, None], np.arange(60_000)
    (train, _), (validation, labels) = mnist.split(X, y)
    assert train.ravel().tolist() == list(range(50_000))
    assert validation.ravel().tolist() == labels.tolist() == list(range(50_000, 60_000))
