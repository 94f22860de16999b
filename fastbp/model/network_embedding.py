"""The embedding of numbers of a network: what it is, and its parameters."""

from dataclasses import replace
from typing import Any

from ..components import number_embedding
from ..components.number_embedding import EmbeddingParameters, NumberEmbedding
from ..kernels.tables import arenas, layout
from .network_arrays import NetworkArrays


class NetworkEmbedding:
    """The base of ``Network``: its ``number_embedding``."""

    arrays: NetworkArrays
    _sizes: tuple[int, ...]
    _seed: int
    _number_embedding: NumberEmbedding | None = None  # pickles of 0.1.0 have none

    def _embed(self, given: Any) -> None:
        """Check and keep the argument number_embedding."""
        made = number_embedding.check(given)
        if made is not None:
            made.places(self._sizes[0])
        self._number_embedding = made

    @property
    def number_embedding(self) -> NumberEmbedding | None:
        """The learned embedding of numbers as it was given; None without one."""
        return self._number_embedding

    @property
    def embedding_parameters(self) -> EmbeddingParameters | None:
        """Fresh read-only copies of the parameters of the number_embedding; None without one.

        Of k columns of X with H frequencies and E = width - 1 outputs: frequencies and phases
        (k, H), weights (k, H, E), biases (k, E).
        """
        parts = self.arrays.embedding
        if parts is None:
            return None
        for part in parts:
            part.flags.writeable = False
        return EmbeddingParameters(*parts)

    def set_embedding_parameters(
        self, frequencies: Any, phases: Any, weights: Any, biases: Any
    ) -> None:
        """Copy in the parameters of the number_embedding, shaped as ``embedding_parameters``.

        A trainer keeps its moments. ValueError or TypeError, with nothing changed, where a shape or
        dtype does not fit, a value is not finite, or the network embeds no numbers.

        >>> made = fastbp.NumberEmbedding(frequencies=1, width=2)
        >>> net = fastbp.Network([1, 1], number_embedding=made)
        >>> net.set_embedding_parameters([[0.25]], [[0.0]], [[[2.0]]], [[1.0]])
        >>> net.set_parameters(weights=[[[0.0], [1.0]]], biases=[[0.0]])
        >>> print(net.predict([[0.0], [2.0]]))  # 2 cos(2 pi x / 4) + 1
        [[ 3.]
         [-1.]]
        """
        if self._number_embedding is None:
            raise ValueError(
                "the network embeds no numbers: make the Network with a number_embedding"
            )
        self.arrays.set_embedding((frequencies, phases, weights, biases))

    @property
    def _embedded_columns(self) -> tuple[int, ...]:
        """The columns of X that are embedded."""
        made = self._number_embedding
        return () if made is None else made.places(self._sizes[0])

    def _initial_embedding(self, seed: int) -> list[arenas.Layer]:
        """Its first parameters, in a list, which is empty without one."""
        made = self._number_embedding
        return [] if made is None else [made.initial(len(self._embedded_columns), seed)]

    def _with_embedding(self, spec: layout.PlanSpec) -> layout.PlanSpec:
        made = self._number_embedding
        if made is None:
            return spec
        return replace(
            spec,
            extended=True,
            numbers=len(self._embedded_columns),
            frequencies=made.frequencies,
            embedded=made.width - 1,
        )

    @property
    def _embedding_count(self) -> int:
        """The number of its parameters, and of the weights of the inputs that it adds."""
        made = self._number_embedding
        if made is None:
            return 0
        outputs = made.width - 1
        of_number = (2 + outputs) * made.frequencies + outputs
        return len(self._embedded_columns) * (of_number + outputs * self._sizes[1])
