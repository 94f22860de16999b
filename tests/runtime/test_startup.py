"""When kernels are compiled or loaded: at the first use, or in warmup; never at import."""

import numpy as np
import pytest
from numba.core import event

import fastbp
from fastbp.kernels.entry import embed_calls, embed_server, run
from support import processes
from support.cases import CASES
from support.internals import core

IMPORT = """
from numba.core import event
with event.install_recorder("numba:compile") as compiled:
    import fastbp
    from fastbp.kernels.entry import embed_server, run
    net = fastbp.Network([3, 4, 2], output="softmax", seed=0)
    fastbp.Trainer(net, loss="cross_entropy", optimizer=fastbp.Adam(), seed=0)
    net.set_parameters(net.weights, net.biases)
loaded = run.code.cache_info().currsize, embed_server.serve.cache_info().currsize
print(len(compiled.buffer), loaded, run.parallel.signatures)
"""


@pytest.mark.process
def test_import_and_making_a_trainer_compile_and_load_nothing():
    assert processes.run(IMPORT) == "0 (0, 0) []\n"


def use_all(dtype):
    """All that compiles anything, with one share and with two."""
    case = CASES["odd"]
    X, y = (part.astype(dtype) for part in case.batch())
    trainer = case.trainer(dtype)
    for core(trainer).workers in (1, 2):
        trainer.step(X, y)
        trainer.fit(X, y, epochs=2, validation_data=(X, y))
        trainer.loss_and_gradients(X, y)
        trainer.predict(X)
        trainer.net.predict(X)


def compiled_by(call, *arguments):
    """How many functions Numba compiles meanwhile."""
    with event.install_recorder("numba:compile") as recorder:
        call(*arguments)
    return sum(happened.is_start for _, happened in recorder.buffer)


def loaded():
    quick = [
        kind.cache_info().currsize
        for kind in (
            run.code,
            embed_server.serve,
            embed_calls.fast_step,
            embed_calls.table_step,
            embed_calls.fast_predict,
            embed_calls.table_predict,
        )
    ]
    return len(run.parallel.signatures), quick


def report(dtype):
    """What warmup compiles, what it does the second time, and what is left for the first use."""
    print(compiled_by(fastbp.warmup, dtype) > 0, end=" ")
    before = loaded()
    print(compiled_by(fastbp.warmup, dtype), compiled_by(use_all, dtype), loaded() == before)


WARM = "import test_startup as t; t.report({!r})"


@pytest.mark.slow
@pytest.mark.process
def test_after_warmup_nothing_compiles(tmp_path):
    """In a process with an empty cache, and in one that finds all of it there."""
    cache = {"NUMBA_CACHE_DIR": str(tmp_path)}
    assert processes.run(WARM.format("float32"), **cache) == "True 0 0 True\n"
    assert processes.run(WARM.format("float32"), **cache) == "False 0 0 True\n"


@pytest.mark.process
def test_after_warmup_nothing_compiles_in_double_precision():
    fastbp.warmup("float64")
    assert processes.run(WARM.format("float64")) == "False 0 0 True\n"


@pytest.mark.parametrize("dtype", ["float32", np.float64, np.dtype("float32")])
def test_warmup_takes_what_a_network_takes(dtype):
    assert fastbp.warmup(dtype) is None


@pytest.mark.parametrize(("dtype", "error"), [("float16", ValueError), (None, TypeError)])
def test_warmup_refuses_what_a_network_refuses(dtype, error):
    with pytest.raises(error, match=r"dtype is .*'float32', 'float64'"):
        fastbp.warmup(dtype)


PLAIN = """
import fastbp
from fastbp.kernels.entry import run
fastbp.warmup("float32", extended=False)
print(run.code.cache_info().currsize)
fastbp.warmup("float32")
print(run.code.cache_info().currsize)
"""


@pytest.mark.process
def test_warmup_leaves_out_what_was_not_asked_for():
    assert processes.run(PLAIN) == "1\n2\n"


def test_extended_is_a_flag():
    with pytest.raises(TypeError, match="extended is 1"):
        fastbp.warmup("float32", extended=1)
