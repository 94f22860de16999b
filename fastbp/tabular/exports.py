"""The methods of estimators that write them for other programs, imported when they are called."""

import os
from typing import Any

from sklearn.utils.validation import check_is_fitted

from ..common.optional import need


class TableExport:
    """A base of the estimators: ONNX, C, Fortran and torch."""

    def to_onnx(self, path: str | os.PathLike[str], opset: int = 18) -> None:
        """Write the whole model to one ONNX file: encoder, networks, calibration.

        The graph has an input (N, 1) for each column that is learned from, of the column's name:
        numbers are float64, NaN where missing; categories are text, empty where missing, of any
        level; dates are float64, seconds since 1970, NaN where missing; booleans are bool, or
        float64 with 0, 1 and NaN where some were missing in training. Text has no spaces around
        it, and categories that are numbers in a table are such text: "3".

        Outputs of a classifier are ``label`` (N,) and ``probabilities`` (N, classes), float64, in
        the order of ``classes_``; that of a regressor is ``prediction`` (N, targets), float64.
        Where a column has that name, the output has an underscore behind it. Results are those of
        ``predict`` and ``predict_proba`` up to rounding. LabelEncoder of ai.onnx.ml looks
        categories up; all other operators are those of the standard. The metadata have the columns.

        Args:
            path: the file, by custom called ``....onnx``; its folder exists.
            opset: as for ``fastbp.Network.to_onnx``.

        Raises:
            ValueError, TypeError, OSError: as ``fastbp.Network.to_onnx``.
            ModuleNotFoundError: onnx is not installed.

        >>> from fastbp.tabular import TabularRegressor
        >>> X = {"size": np.linspace(0, 1, 80), "town": ["Ulm", "Jena"] * 40}
        >>> model = TabularRegressor(ensemble=1, epochs=2, random_state=0).fit(X, X["size"])
        >>> model.to_onnx("prices.onnx")
        >>> import onnx
        >>> [one.name for one in onnx.load("prices.onnx").graph.input]
        ['size', 'town']

        """
        check_is_fitted(self)
        need("onnx", "onnx", "to_onnx")
        from .export import onnx_table

        onnx_table.write(self, path, opset)

    def to_c(self, path: str | os.PathLike[str]) -> None:
        """Write the whole model as C99: encoder, networks, calibration.

        For ``buyers.c`` there are ``buyers.h``, which says how to call it, ``buyers_test.c``, a
        program that tests it, and the files of the networks, ``buyers_net.c``, ``buyers_net_1.c``
        and so on, each with its header. A row is a struct with a field for each column:
        ``double`` for numbers and for dates, as seconds since 1970, NaN where missing; ``const char
        *`` for categories, UTF-8, NULL where missing; ``int`` for booleans, -1 where missing.
        ``buyers_predict_row`` and ``buyers_predict`` fill in probabilities, or numbers, as double.
        ``fastbp.Network.to_c`` says what else holds: nothing is allocated, and libm is enough.

        Args:
            path: the .c file, as for ``fastbp.Network.to_c``.

        Raises:
            ValueError, TypeError, OSError: as ``fastbp.Network.to_c``; a level of a category has a
                NUL.

        >>> from fastbp.tabular import TabularRegressor
        >>> X = {"size": np.linspace(0, 1, 80), "town": ["Ulm", "Jena"] * 40}
        >>> model = TabularRegressor(ensemble=1, epochs=2, random_state=0).fit(X, X["size"])
        >>> model.to_c("prices.c")
        >>> import pathlib
        >>> sorted(path.name for path in pathlib.Path().glob("prices*.c"))
        ['prices.c', 'prices_net.c', 'prices_net_1.c', 'prices_test.c']

        """
        check_is_fitted(self)
        from .export import table_files

        table_files.to_c(self, path)

    def to_fortran(self, path: str | os.PathLike[str]) -> None:
        """Write the whole model as a Fortran module over the files of ``to_c``, which come, too.

        The module has the name of the file, and a type for a row, whose categories are character
        variables, blank where missing. Functions return a status, 0 where all is well.

        Args:
            path: the .f90 file, else as for ``to_c``.

        Raises:
            ValueError, TypeError, OSError: as ``to_c``.

        """
        check_is_fitted(self)
        from .export import table_files

        table_files.to_fortran(self, path)

    def to_torch(self) -> Any:
        """A torch.nn.Module of what follows the encoder: from (N, inputs) to float64 results.

        Torch has no text: the module takes ``model.encoder_.transform(table)``, as a float32
        tensor (dense: ``.toarray()`` where it is sparse). It returns what ``predict_proba`` of a
        classifier does, and (N, targets) of a regressor. ModuleNotFoundError without torch.
        """
        check_is_fitted(self)
        need("torch", "torch", "to_torch")
        from .export import torch_table

        return torch_table.module_of(self)
