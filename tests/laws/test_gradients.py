"""Law 1: gradients equal central differences of the loss, in float64."""

import pytest

from support.cases import Case, each_case, each_hidden_and_pair, with_pair
from support.central_differences import Probe

pytestmark = pytest.mark.law1

ODD = Case((3, 19, 5, 3), 7)


@pytest.mark.quick("odd")
@each_case
def test_gradients_equal_central_differences(case):
    Probe(case).check()


@each_hidden_and_pair
def test_gradients_of_every_activation_and_loss(hidden, pair):
    Probe(with_pair(ODD, hidden, pair)).check()


@pytest.mark.parametrize("batch_size", [1, 3, 1000])
def test_gradients_of_rows_taken_in_blocks(batch_size):
    Probe(ODD, batch_size).check()
