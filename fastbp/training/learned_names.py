"""The names of columns that a network keeps from the first data that it is trained on."""

from ..model.network import Network
from ..runtime.arrays import Dataset


def learn(net: Network, data: Dataset) -> None:
    """Let the network keep the names of the columns of X, unless it has some."""
    if data.x.columns is not None and net.feature_names_in is None:
        net.keep_names(data.x.columns)
