"""What a network becomes for other programs: the methods call fastbp.export, which stands above."""

import os
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from .network import Network


class NetworkExport:
    """The base of ``Network``: C and Fortran."""

    def to_c(
        self,
        path: str | os.PathLike[str],
        derivatives: bool = False,
        weights: Literal["source", "file"] = "source",
    ) -> None:
        """Write the network as C99 that allocates nothing and needs no library but libm.

        For ``surrogate.c`` there are also ``surrogate.h``, which says how to call it, and
        ``surrogate_test.c``, a program that compares it with fastbp's formulas. Public names begin
        with that of the file. One row or a batch is a call, which any number of threads makes, each
        with a context of its own. Loops are such that compilers make vectors of them, given
        ``-O3 -march=native -ffp-contract=fast``. Results differ from those of ``predict`` by
        rounding; NaN in a row makes its results NaN.

        Args:
            path: the .c file; its folder exists. Its name without ending has letters, digits and
                single underscores, at most 40. Older files are replaced, each in one go.
            derivatives: with functions for the Jacobian, and for J^T v; the numbers take twice the
                space.
            weights: "source" for parameters in the .c file, or "file" for those in
                ``surrogate.bin``, which a function reads: for large networks, and for parameters
                that change without another compilation.

        Raises:
            ValueError: an argument is not as above; an activation is your own; a parameter is not
                finite. Nothing has been written.
            TypeError: an argument is not as above.
            OSError: a file cannot be written.

        >>> fastbp.Network([3, 8, 2], activation="tanh").to_c("surrogate.c")
        >>> import pathlib
        >>> sorted(path.name for path in pathlib.Path().glob("surrogate*"))
        ['surrogate.c', 'surrogate.h', 'surrogate_test.c']

        """
        from ..export import c_files

        c_files.to_c(cast("Network", self), path, derivatives, weights)

    def to_fortran(
        self,
        path: str | os.PathLike[str],
        derivatives: bool = False,
        weights: Literal["source", "file"] = "source",
    ) -> None:
        """Write the network as a Fortran module over the files of ``to_c``, which it writes, too.

        The module has the name of the file, and functions for arrays (features, batch), or
        (features,) for one row; the Jacobian is (inputs, outputs, batch). Each returns a status,
        0 where all is well. An array of wrong extents is refused.

        Args:
            path: the .f90 file, else as for ``to_c``.
            derivatives: as for ``to_c``.
            weights: as for ``to_c``.

        Raises:
            ValueError, TypeError, OSError: as ``to_c``.

        >>> fastbp.Network([3, 8, 2], activation="tanh").to_fortran("surrogate.f90")
        >>> import pathlib
        >>> sorted(path.name for path in pathlib.Path().glob("surrogate*"))
        ['surrogate.c', 'surrogate.f90', 'surrogate.h', 'surrogate_test.c']

        """
        from ..export import c_files

        c_files.to_fortran(cast("Network", self), path, derivatives, weights)
