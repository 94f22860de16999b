"""What both estimators do: check their data, fit, predict."""

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils import column_or_1d
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from ..common.optional import need
from ..common.types import Array, Floats
from ..training.datasets import validation_parts
from . import parts
from .rows import Rows, readable
from .solvers import Solvers, Task


class BaseMLP(Solvers, ABC):
    """The base of ``MLPClassifier`` and ``MLPRegressor``."""

    _y_is_numeric: ClassVar[bool]

    @abstractmethod
    def _learn_targets(self, y: Array, incremental: bool) -> None:
        """Learn from y what there is to know of targets, or compare it with what is known."""

    @abstractmethod
    def _encoded(self, y: Array) -> Array:
        """The targets as fastbp takes them."""

    @abstractmethod
    def _count_outputs(self, targets: Array) -> int:
        """The number of outputs."""

    @abstractmethod
    def _onnx_outputs(self) -> Sequence[Any]:
        """What an ONNX file gives."""

    def _check_validation_targets(self, y: Array) -> None:
        """ValueError for targets of ``validation_data`` that are none of those in y of ``fit``."""

    def _weights_by_class(self, y: Array, incremental: bool) -> Floats | None:  # noqa: ARG002
        """The weight of each row by its class, or None."""
        return None

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, validation_data: Any = None
    ) -> Self:
        """Fit the network to X and y.

        Args:
            X: (n, n_in), array, table or sparse matrix.
            y: targets, (n,) or (n, outputs).
            sample_weight: of each row, (n,), >= 0; None for 1.
            validation_data: (X, y) or (X, y, sample_weight) to evaluate after each epoch. With
                early_stopping it is scored, in place of rows that are taken out of X.

        Returns:
            The estimator.

        Raises:
            ValueError: a parameter or the data are not as they must be, or the parameters are not
                finite in the end.

        """
        return self._fit(X, y, sample_weight, validation_data)

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation_data: Any = None,
        incremental: bool = False,
    ) -> Self:
        before, made = dict(vars(self)), self._updates
        try:
            self._solve(self._task(X, y, sample_weight, validation_data, incremental))
        except Exception:
            if self._updates in (0, made):  # it has not trained: another fit's results stay
                for name in vars(self).keys() - before.keys():
                    delattr(self, name)
                self.__dict__.update(before)
            raise
        return self

    @property
    def _updates(self) -> int:
        """Updates of the trainer."""
        return self._trained.updates if self._has_network else 0

    def _task(
        self, X: Any, y: Any, sample_weight: Any, validation_data: Any, incremental: bool
    ) -> Task:
        parts.sizes_of_hidden(self.hidden_layer_sizes)
        is_new = not self._has_parameters or not (self.warm_start or incremental)
        X, y = self._validated(X, y, is_new)
        self._learn_targets(y, incremental)
        rows = Rows(X, self._encoded(y), self._weights(sample_weight, X, y, incremental))
        if incremental:
            self._check_incremental()
        self._learn_outputs(self._count_outputs(rows.targets), is_new)
        validation = self._validation_rows(validation_data)
        return Task(rows, validation, self._objective(rows), is_new, incremental)

    def _learn_outputs(self, count: int, is_new: bool) -> None:
        known = vars(self).get("n_outputs_", count)
        if not is_new and count != known:
            raise ValueError(
                f"y has {count} outputs, but this {type(self).__name__} goes on from {known}: pass "
                "as many, or call fit with warm_start=False"
            )
        self.n_outputs_ = count

    def _check_incremental(self) -> None:
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        if self.ema_decay is not None:
            raise ValueError(
                f"partial_fit does not support ema_decay={self.ema_decay}: when a fit ends, the "
                "average takes the place of the parameters. Call fit, or leave ema_decay out"
            )

    def _validated(self, X: Any, y: Any, reset: bool) -> tuple[Array, Array]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            multi_output=True,
            y_numeric=self._y_is_numeric,
            dtype=(np.float64, np.float32) if self.dtype is None else np.dtype(self.dtype),
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y

    def _checked_weights(self, sample_weight: Any, X: Array) -> Floats | None:
        if sample_weight is None:
            return None
        weights: Floats = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        return weights

    def _weights(self, sample_weight: Any, X: Array, y: Array, incremental: bool) -> Floats | None:
        given = self._checked_weights(sample_weight, X)
        of_classes = self._weights_by_class(y, incremental)
        if given is None or of_classes is None:
            return of_classes if given is None else given
        weights: Floats = given * of_classes
        return weights

    def _validation_rows(self, validation_data: Any) -> Rows | None:
        if validation_data is None:
            return None
        X, y, weights = validation_parts(validation_data)
        X, y = self._validated(X, y, reset=False)
        self._check_validation_targets(y)
        return Rows(X, self._encoded(y), self._checked_weights(weights, X))

    def _outputs(self, X: Any) -> Array:
        """The network's outputs (n, n_outputs_)."""
        if self._has_network and "feature_names_in_" not in vars(self):
            # The kernel checks an array of the network's dtype, and gives None for any other X:
            # scikit-learn's check takes longer than a small network.
            p = self.net_.fast_outputs(X, None)
            if p is not None:
                return p
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", reset=False)
        return self.trainer_.predict(readable(X))

    def to_onnx(self, path: str | os.PathLike[str], opset: int = 18) -> None:
        """Write the estimator to an ONNX file, with the outputs that sklearn-onnx gives it.

        Its input is X (N, n_in), of the network's dtype. Outputs of a classifier are ``label``
        (N,), integers, bool, floats or text as in ``classes_``, and ``probabilities`` (N, classes),
        as ``predict_proba`` has them; with multilabel y both are (N, classes). The output of a
        regressor is ``Y`` (N, outputs), what ``predict`` returns; with loss "poisson", rates.
        ``fastbp.from_onnx`` reads the network of the file, but where it gives rates.

        Args:
            path: the file, by custom called ``....onnx``; its folder exists.
            opset: as for ``fastbp.Network.to_onnx``.

        Raises:
            ValueError, TypeError, OSError: as ``fastbp.Network.to_onnx``; labels are of a type that
                ONNX lacks.
            ModuleNotFoundError: onnx is not installed.

        >>> from fastbp.sklearn import MLPRegressor
        >>> X = np.linspace(-1, 1, 20)[:, None]
        >>> model = MLPRegressor(hidden_layer_sizes=8, random_state=0, solver="lbfgs")
        >>> model.fit(X, 2 * X[:, 0]).to_onnx("line.onnx")
        >>> fastbp.from_onnx("line.onnx").sizes
        (1, 8, 1)

        """
        check_is_fitted(self)
        need("onnx", "onnx", "to_onnx")
        from . import onnx_file

        onnx_file.write(self, self._onnx_outputs(), path, opset)

    def __sklearn_tags__(self) -> Any:
        """See ``BaseEstimator``."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
