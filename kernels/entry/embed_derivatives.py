"""The operations of an embedded model about derivatives: embed_calls.py, by jacobian_server.py."""

from functools import cache
from typing import Any, ClassVar

from numba import types

from ..base.jit import entry, ready_entry
from ..tables import jacobian_job as D
from . import jacobian_server
from .embed_calls import Operation
from .embed_request import derivatives_request
from .embed_server import BAD_OUT, BAD_Y, NO_CODE, OK
from .embed_types import check_array, check_out, element

_NO_CODE = {
    NO_CODE: "the compiled function comes from its cache, and the code of derivatives is not in "
    "that of fastbp: call fastbp.embed.jacobian or jvp once from Python before; or the network "
    "embeds numbers, through which there are no derivatives by the inputs: make it without "
    "number_embedding"
}


class _Derivatives(Operation):
    """An operation whose code is compiled when the first function that calls it is."""

    derivatives: ClassVar[bool] = True

    def type_of(self, args: Any, kws: Any, pysig: Any) -> Any:
        found = super().type_of(args, kws, pysig)
        for prepare in jacobian_server.prepare_by:
            prepare()
        return found


def _check_jacobian(dtype: Any, y: Any, out: Any) -> None:
    check_out(out, dtype, 3)


def _check_jvp(dtype: Any, v: Any, out: Any) -> None:
    check_array("v", v, dtype)
    check_out(out, dtype, 2)


JACOBIAN = _Derivatives(
    int(D.JACOBIAN),
    ("X", "out"),
    _check_jacobian,
    types.none,
    {
        BAD_OUT: "out has the wrong shape, expected (rows, outputs, inputs), where one row or one "
        "output may go without its axis"
    }
    | _NO_CODE,
)
JVP = _Derivatives(
    int(D.JVP),
    ("X", "v", "out"),
    _check_jvp,
    types.none,
    {
        BAD_Y: "v has the wrong shape, expected (rows, inputs), or flat for one row or input",
        BAD_OUT: "out has the wrong shape, expected (rows, outputs), or flat for one row or output",
    }
    | _NO_CODE,
)


@entry
def jacobian(model, X, out):
    """Fill out with the Jacobian of each row, or with NaN."""
    JACOBIAN(model, X, out)


@entry
def jvp(model, X, v, out):
    """Fill out with J(x) v of each row, or with NaN."""
    JVP(model, X, v, out)


# For ``Network.jacobian``, which has checked the types.


def _fast_jacobian(handle, X, out):
    status, _ = derivatives_request(D.JACOBIAN, handle, X, None, out)
    return status == OK


@cache
def fast_jacobian(itemsize: int) -> Any:
    """(handle, X, out) -> whether out (rows, outputs, inputs) holds the Jacobians of X.

    handle: its address.
    """
    X, out = (types.Array(element(itemsize), dimensions, "C") for dimensions in (2, 3))
    return ready_entry(_fast_jacobian, [(types.int64, X, out)])
