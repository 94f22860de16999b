"""Law 9: a NaN in any weight makes the loss NaN, and a step with such a loss changes nothing."""

import pytest

from support.cases import (
    DTYPES,
    Case,
    each_dtype,
    each_engine,
    each_hidden_and_pair,
    with_pair,
)
from support.nan_weights import check_nan, snapshot

pytestmark = pytest.mark.law9

ODD = Case((3, 19, 5, 3), 7)


@pytest.mark.quick("tanh-cross_entropy-softmax")
@each_hidden_and_pair
def test_nan_in_a_weight_reaches_the_loss(hidden, pair):
    for dtype in DTYPES:
        check_nan(with_pair(ODD, hidden, pair), dtype)


@each_dtype
def test_nan_in_a_weight_reaches_the_loss_of_the_twins(dtype):
    check_nan(with_pair(ODD, "relu", ("cross_entropy", "softmax")), dtype, "numpy")


@each_engine
def test_fit_without_a_snapshot_keeps_the_updates_before_the_one_refused(engine):
    case = with_pair(ODD, "tanh", ("mse", "identity"))
    X, y = case.batch()
    y[4] = 1e200  # finite, but its square is not
    trainer, other = (case.trainer("float64", engine, batch_size=2) for _ in range(2))
    with pytest.raises(FloatingPointError, match="epoch 1, step 3"):
        trainer.fit(X, y, shuffle=False, progress=False, snapshot=False)
    for start in (0, 2):
        other.step(X[start : start + 2], y[start : start + 2])
    assert snapshot(trainer) == snapshot(other)
