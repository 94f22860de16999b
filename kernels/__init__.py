"""The compiled side of fastbp: every njit function, and its NumPy twin in reference/.

Imported as ``fastbp.kernels`` only: the folder is called ``kernels``, and a top-level import of
that name would collide with an unrelated package.
"""

if __name__ != "fastbp.kernels":
    raise ImportError(
        f"fastbp's kernels were imported as {__name__!r}: install fastbp and import fastbp.kernels"
    )
