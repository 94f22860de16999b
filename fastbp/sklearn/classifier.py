"""``MLPClassifier``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target

from ..common.types import Array, Floats
from .base import BaseMLP
from .labels import binarizer_of, distinct, places
from .objective import Objective, of_classes
from .parameters import CONSTRAINTS
from .parts import has_partial_fit
from .rows import Rows


@dataclass(eq=False, repr=False)
class MLPClassifier(ClassifierMixin, BaseMLP):
    """scikit-learn's MLPClassifier, trained by fastbp.

    The parameters down to ``max_fun``, the attributes, methods, warnings and messages are
    scikit-learn's, and have its meaning (fastbp/sklearn/README.md says what differs). Those that
    follow are fastbp's, all by keyword.

    Args:
        hidden_layer_sizes: units of each hidden layer: an integer, or a sequence of them.
        activation: of the hidden layers: "relu", "tanh", "logistic", "identity", one more of
            fastbp's names, or your own njit function ``f(z) -> (a, da/dz)``.
        solver: "adam", "sgd" or "lbfgs".
        alpha: strength of the L2 penalty.
        batch_size: rows of an update; "auto" is min(200, n).
        learning_rate: "constant", "invscaling" or "adaptive", of solver "sgd".
        learning_rate_init: the first learning rate of "sgd", the learning rate of "adam".
        power_t: exponent of "invscaling".
        max_iter: the most epochs; of "lbfgs" the most iterations.
        shuffle: whether each epoch takes the rows in a new order.
        random_state: seed of the initial weights, of the rows held out and of their order.
        tol: an epoch whose loss, or validation score, is not better by it is none that improves;
            "lbfgs" ends where no entry of the gradient exceeds it.
        verbose: print the loss of each epoch.
        warm_start: let ``fit`` go on from the parameters of the fit before.
        momentum: of "sgd".
        nesterovs_momentum: whether it is Nesterov's.
        early_stopping: hold rows out, score them after each epoch, bring the best weights back.
        validation_fraction: the share of rows that is held out.
        beta_1: decay of the mean of the gradient of "adam".
        beta_2: decay of the mean of its square.
        epsilon: what keeps its denominator above 0.
        n_iter_no_change: epochs without an improvement before the end.
        max_fun: the most evaluations of "lbfgs".
        dtype: "float32" or "float64"; None for X's, where it is one of these, else float64.
        dropout: share of the hidden units that an update drops; one number, or one for each layer.
        layer_norm: normalize the hidden layers.
        residual: add the inputs of a hidden layer to its activations, where both have one width.
        clip_norm: the largest norm of a gradient.
        ema_decay: let the moving average of the parameters predict; a = ema_decay a +
            (1 - ema_decay) w after each update.
        optimizer: a fastbp one, such as ``fastbp.AdamW(lr=1e-3)``, in place of the solver.
        callbacks: fastbp's, or your own.
        n_threads: the most threads; None for as many as pay.
        loss: "log_loss", or your own njit function ``loss(p, y, dloss_dp)`` of one row: p are
            probabilities, y is 1 for the class and 0 for others.
        class_weight: a dict of weights by class, or "balanced". It multiplies ``sample_weight``.
        label_smoothing: s in y (1 - s) + s / n_classes in place of y.

    Attributes:
        trainer_: the ``fastbp.Trainer``.
        net_: the ``fastbp.Network``, which ``net_.save`` writes to a file.
        classes_, coefs_, intercepts_, loss_, loss_curve_, best_loss_, validation_scores_,
            best_validation_score_, n_iter_, t_, n_layers_, n_outputs_, out_activation_,
            n_features_in_, feature_names_in_: as in scikit-learn.

    >>> from fastbp.sklearn import MLPClassifier
    >>> X, y = np.array([[-2.0], [-1.0], [1.0], [2.0]]), ["low", "low", "high", "high"]
    >>> model = MLPClassifier(8, learning_rate_init=0.1, max_iter=20, tol=0, random_state=0)
    >>> import warnings
    >>> with warnings.catch_warnings():  # it has not converged yet
    ...     warnings.simplefilter("ignore")
    ...     fitted = model.fit(X, y)
    >>> print(model.predict([[-3.0], [3.0]]))
    ['low' 'high']

    """

    hidden_layer_sizes: Any = (100,)
    activation: Any = "relu"
    loss: Any = field(default="log_loss", kw_only=True)
    class_weight: str | Mapping[Any, float] | Sequence[Any] | None = field(
        default=None, kw_only=True
    )
    label_smoothing: float = field(default=0.0, kw_only=True)

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **CONSTRAINTS,
        "loss": [StrOptions({"log_loss"}), callable],
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    }
    _y_is_numeric: ClassVar[bool] = False

    def predict(self, X: Any) -> Array:
        """The classes of the rows of X, (n,), or (n, classes) of 0 and 1 for multilabel y."""
        return self._labels(self._outputs(X))

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class, (n, classes), in the order of ``classes_``."""
        p = self._outputs(X)
        return np.hstack([1 - p, p]) if self.n_outputs_ == 1 else p

    def predict_log_proba(self, X: Any) -> Array:
        """The logarithms of ``predict_proba``."""
        p = self.predict_proba(X)
        return np.log(p, out=p)

    @available_if(has_partial_fit)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Go on with one epoch over these rows.

        Args:
            X: (n, n_in), array, table or sparse matrix.
            y: labels, (n,), or (n, classes) of 0 and 1.
            sample_weight: of each row, (n,), >= 0; None for 1.
            classes: all labels that y of any call may have; needed in the first call alone.

        Returns:
            The estimator.

        """
        if _check_partial_fit_first_call(self, classes):
            is_multilabel = type_of_target(y).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(y if is_multilabel else classes)
        return self._fit(X, y, sample_weight, incremental=True)

    def _learn_targets(self, y: Array, incremental: bool) -> None:
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._label_binarizer = binarizer_of(y)
            self.classes_ = self._label_binarizer.classes_
            return
        classes = distinct(y)
        if self.warm_start:
            if set(classes) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous "
                    f"call to fit. Previously got {self.classes_}, `y` has {classes}"
                )
        elif len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. "
                f"'y' has {classes}."
            )

    def _check_validation_targets(self, y: Array) -> None:
        unknown = np.setdiff1d(distinct(y), self.classes_)
        if len(unknown):
            raise ValueError(
                f"validation_data has the classes {unknown}, expected those of y, which are "
                f"{self.classes_}: leave its rows of other classes out"
            )

    @property
    def _is_multilabel(self) -> bool:
        """Whether a row may belong to several classes."""
        return bool(self._label_binarizer.y_type_.startswith("multilabel"))

    @property
    def _is_multiclass(self) -> bool:
        """Whether a row belongs to one of three classes or more."""
        return bool(self._label_binarizer.y_type_ == "multiclass")

    def _encoded(self, y: Array) -> Array:
        classes, encoded = self.classes_, y
        if y.ndim > 1 or self._is_multilabel:
            encoded = self._label_binarizer.transform(y).astype(bool)
        elif not self._is_multiclass:  # or a single class, whose output is 0
            encoded = (y == classes[-1])[:, None] & (len(classes) > 1)
        elif self.loss == "log_loss":
            encoded = places(y, classes)
        else:
            encoded = places(y, classes)[:, None] == np.arange(len(classes))
        return encoded

    def _count_outputs(self, targets: Array) -> int:
        return len(self.classes_) if self._is_multiclass else targets.shape[1]

    def _objective(self, rows: Rows) -> Objective:  # noqa: ARG002
        return of_classes(self.loss, self._is_multiclass, self.n_outputs_)

    def _own_arguments(self) -> dict[str, Any]:
        return {"label_smoothing": self.label_smoothing}

    def _weights_by_class(self, y: Array, incremental: bool) -> Floats | None:
        if self.class_weight is None:
            return None
        if incremental and self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' takes the weights from all rows, which partial_fit does "
                "not see: pass a dict of weights by class, such as "
                "sklearn.utils.class_weight.compute_class_weight finds"
            )
        if y.ndim > 1:
            of_rows: Floats = compute_sample_weight(self.class_weight, y)
            return of_rows
        # Of all classes: a part of the rows need not have each.
        of_classes: Floats = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
        if not (np.isfinite(of_classes) & (of_classes >= 0)).all():
            raise ValueError(
                f"class_weight gives the classes {self.classes_} the weights {of_classes}, "
                "expected finite numbers of 0 or more"
            )
        return of_classes[places(y, self.classes_)]

    def _onnx_outputs(self) -> Sequence[Any]:
        from . import onnx_file

        return onnx_file.of_classes(self.net_, self.classes_, self._is_multilabel)

    @property
    def _stratifies(self) -> bool:
        return self.n_outputs_ == 1

    def _labels(self, p: Array) -> Array:
        """The labels for outputs (n, n_outputs_)."""
        labels: Array = self._label_binarizer.inverse_transform(p)
        return labels

    def _score_outputs(self, p: Array, held: Rows) -> float:
        if self._is_multiclass:
            labels = held.targets if held.targets.ndim == 1 else held.targets.argmax(axis=1)
            hits = p.argmax(axis=1) == labels
        else:
            # Of a single class, which has one output, too, each row is.
            hits = ((p > 0.5) == held.targets).all(axis=1) | (len(self.classes_) == 1)
        return float(np.average(hits, weights=held.weights))

    def __sklearn_tags__(self) -> Any:
        """See ``BaseEstimator``."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
