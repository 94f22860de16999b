"""What a user meant by a name that is not known: it may be misspelt, or of another library."""

from collections.abc import Iterable

OTHERS = {
    # activations
    "swish": "silu",
    "linear": "identity",
    "none": "identity",
    "logistic": "sigmoid",
    "expit": "sigmoid",
    "logsoftmax": "softmax",
    "leakyrelu": "leaky_relu",
    # losses
    "meansquarederror": "mse",
    "l2": "mse",
    "meanabsoluteerror": "mae",
    "l1": "mae",
    "absoluteerror": "mae",
    "smoothl1": "huber",
    "pinball": "quantile",
    "logcosh": "log_cosh",
    "poissonnll": "poisson",
    "gaussian": "gaussian_nll",
    "binarycrossentropy": "bce",
    "logloss": "bce",
    "bcewithlogits": "bce",
    "categoricalcrossentropy": "cross_entropy",
    "sparsecategoricalcrossentropy": "cross_entropy",
    "nll": "cross_entropy",
    "ce": "cross_entropy",
    # initial weights
    "xavier": "glorot_uniform",
    "xaviernormal": "glorot_normal",
    "xavieruniform": "glorot_uniform",
    "glorot": "glorot_uniform",
    "kaiming": "he_normal",
    "kaimingnormal": "he_normal",
    "kaiminguniform": "he_uniform",
    "he": "he_normal",
    "lecun": "lecun_normal",
    "zero": "zeros",
    # dtypes and engines
    "float": "float32",
    "single": "float32",
    "f4": "float32",
    "double": "float64",
    "f8": "float64",
    "jit": "numba",
    "np": "numpy",
}
"""Names of torch, Keras and scikit-learn, as ``_plain`` writes them, and those of fastbp."""


def meant(name: str, known: Iterable[str]) -> str | None:
    """The one of ``known`` that is nearest to ``name``; None where none is near."""
    import difflib  # late: rare

    names, plain = list(known), _plain(name)
    same = next((one for one in names if _plain(one) == plain), None)
    if same is not None:
        return same
    for text in (plain, plain.removesuffix("loss")):
        if OTHERS.get(text) in names:
            return OTHERS[text]
    return next(iter(difflib.get_close_matches(name.strip().lower(), names, 1)), None)


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
