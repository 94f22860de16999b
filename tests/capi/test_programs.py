"""Programs of C and C++ that embed Python, and libraries of C in a Python that runs already."""

import ctypes
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastbp
from fastbp import capi, embed
from support.c_calls import needs_libpython
from support.compilers import C99, SANITIZED, STRICT, build, call, each_c, needs_cpp, needs_gcc

pytestmark = [pytest.mark.process, needs_gcc]

ROWS = 6


def trainer_of(dtype="float32"):
    net = fastbp.Network([3, 9, 2], "tanh", seed=0, dtype=dtype)
    net.set_scaling(input_mean=[1, 2, 3], input_scale=[2, 2, 2])
    adam = fastbp.Adam(lr=0.01)
    return fastbp.Trainer(net, loss="mse", optimizer=adam, batch_size=ROWS, seed=0)


def rows(dtype="float32"):
    """X, y and v as the programs read them."""
    rng = np.random.default_rng(0)
    return [rng.normal(size=(ROWS, n)).astype(dtype) for n in (3, 2, 2)]


@pytest.fixture
def quiet(monkeypatch):
    """What programs need: Python leaks on purpose, and tests share processors."""
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=0")
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")


MAIN = """
#define _GNU_SOURCE
#include "fastbp.h"
#include <fenv.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT(holds) do { if (!(holds)) { \\
    fprintf(stderr, "line %d: %s; %s\\n", __LINE__, #holds, fastbp_message(FASTBP_PYTHON)); \\
    return 1; } } while (0)

static real X[6 * 3], y[6 * 2], v[6 * 2], out[6 * 2], e[6 * 3], g[56], J[6 * 2 * 3];
static double losses[4];
static fastbp_model *model;

static void *work(void *unused)
{
    int status, i;
    real p[6 * 2];
    fastbp_model *other;
    for (i = 0; i < 1000; i++)
        if (PREDICT(model, 6, X, 3, p, 2) != FASTBP_OK || memcmp(p, out, sizeof p) != 0)
            return "other outputs in a thread";
    status = fastbp_run("import fastbp\\ntrainer = fastbp.Network([1, 1])", &other);
    return status == FASTBP_OK && fastbp_close(other) == FASTBP_OK ? unused : "no code in a thread";
}

static int train(void)
{
    int i;
    EXPECT(PREDICT(model, 6, X, 3, out, 2) == FASTBP_OK);
    EXPECT(INPUT_GRADIENT(model, 6, X, 3, v, 2, e, 3) == FASTBP_OK);
    EXPECT(JACOBIAN(model, 6, X, 3, J, 6) == FASTBP_OK);
    EXPECT(GRADIENTS(model, 6, X, 3, y, 2, g, 56, &losses[0]) == FASTBP_OK);
    for (i = 1; i < 3; i++)
        EXPECT(STEP(model, 6, X, 3, y, 2, &losses[i]) == FASTBP_OK);
    EXPECT(STEP_FROM(model, 6, X, 3, v, 2) == FASTBP_OK);
    EXPECT(STEP(model, 1, X, 3, y, 2, &losses[3]) == FASTBP_OK);
    EXPECT(PREDICT(model, 6, X, 3, out, 2) == FASTBP_OK);
    return 0;
}

static int refuse(void)
{
    double loss = 0;
    real big[2] = {(real)1e30, 0}, *shifted = (real *)((char *)X + 1);
    int64_t words[16] = {0};
    int status;
    EXPECT(PREDICT(NULL, 6, X, 3, out, 2) == FASTBP_NULL_POINTER);
    EXPECT(PREDICT((fastbp_model *)words, 6, X, 3, out, 2) == FASTBP_NO_MODEL);
    EXPECT(PREDICT((fastbp_model *)((char *)words + 1), 6, X, 3, out, 2) == FASTBP_MISALIGNED);
    EXPECT(PREDICT(model, 6, X, 3, NULL, 2) == FASTBP_NULL_POINTER);
    EXPECT(PREDICT(model, 5, shifted, 3, out, 2) == FASTBP_MISALIGNED);
    EXPECT(PREDICT(model, 7, X, 3, out, 2) == FASTBP_WRONG_ROWS);
    EXPECT(PREDICT(model, 6, X, 4, out, 2) == FASTBP_WRONG_X);
    EXPECT(PREDICT(model, 6, X, 3, out, 3) == FASTBP_WRONG_OUT);
    EXPECT(PREDICT(model, 6, X, 3, X, 2) == FASTBP_OVERLAP);
    EXPECT(JACOBIAN(model, 6, X, 3, J, 5) == FASTBP_WRONG_OUT);
    EXPECT(JACOBIAN(model, 1, X, 3, X, 6) == FASTBP_OVERLAP);
    EXPECT(OTHER_PREDICT(model, 6, (void *)X, 3, (void *)out, 2) == FASTBP_WRONG_TYPE);
    EXPECT(STEP(model, 6, X, 3, y, -1, &loss) == FASTBP_WRONG_Y);
    EXPECT(STEP_LABELS(model, 6, X, 3, words, &loss) == FASTBP_WRONG_Y);
    EXPECT(GRADIENTS(model, 6, X, 3, y, -1, g, 56, &loss) == FASTBP_WRONG_Y);
    EXPECT(GRADIENTS_LABELS(model, 6, X, 3, words, g, 56, 0) == FASTBP_WRONG_Y);
    status = STEP(model, 1, X, 3, big, 2, &loss);
    EXPECT(status == (sizeof(real) == 4 ? FASTBP_NOT_FINITE : FASTBP_OK));
    big[1] = (real)NAN;
    EXPECT(STEP(model, 1, X, 3, big, 2, &loss) == FASTBP_INVALID_Y && loss != loss);
    return 0;
}

static int start(const char *python)
{
    fastbp_model *other = (fastbp_model *)X;
    EXPECT(fastbp_load("none", &other) == FASTBP_NOT_STARTED && other == NULL);
    EXPECT(fastbp_start(python) == FASTBP_OK);
    EXPECT(fastbp_start(NULL) == FASTBP_OK);
    EXPECT(signal(SIGINT, SIG_DFL) == SIG_DFL); /* Ctrl-C is the program's, as before */
    EXPECT(fastbp_load("none", &other) == FASTBP_PYTHON && other == NULL);
    EXPECT(strstr(fastbp_message(FASTBP_PYTHON), "FileNotFoundError"));
    EXPECT(fastbp_run("raise SystemExit('not so')", &other) == FASTBP_PYTHON);
    EXPECT(strcmp(fastbp_message(FASTBP_PYTHON), "SystemExit: not so") == 0);
    EXPECT(fastbp_run("net = 1", &other) == FASTBP_PYTHON);
    EXPECT(strstr(fastbp_message(FASTBP_PYTHON), "'trainer', which is not there"));
    EXPECT(fastbp_run(NULL, &other) == FASTBP_NULL_POINTER);
    EXPECT(fastbp_run("", NULL) == FASTBP_NULL_POINTER);
    EXPECT(strcmp(fastbp_message(FASTBP_CLOSED), "the model is closed: its trainer is gone") == 0);
    EXPECT(strcmp(fastbp_message(99), "no status of fastbp") == 0);
    return 0;
}

static int close_all(void)
{
    fastbp_model *other;
    double loss;
    EXPECT(fastbp_save(model, "after.safetensors") == FASTBP_OK);
    EXPECT(fastbp_close(model) == FASTBP_OK);
    EXPECT(fastbp_close(model) == FASTBP_CLOSED);
    EXPECT(STEP(model, 6, X, 3, y, 2, &loss) == FASTBP_CLOSED);
    EXPECT(fastbp_save(model, "other.safetensors") == FASTBP_CLOSED);
    EXPECT(fastbp_load("net.safetensors", &other) == FASTBP_OK && other->targets == 0);
    EXPECT(PREDICT(other, 6, X, 3, out, 2) == FASTBP_OK);
    EXPECT(JACOBIAN(other, 6, X, 3, J, 6) == FASTBP_OK);
    EXPECT(STEP(other, 6, X, 3, y, 2, &loss) == FASTBP_NO_TRAINER);
    return 0;
}

int main(int argc, char **argv)
{
    pthread_t threads[3];
    FILE *file;
    void *said = NULL;
    int i;
    if (argc != 2)
        return 2;
    feenableexcept(FE_INVALID | FE_DIVBYZERO | FE_OVERFLOW); /* as gfortran -ffpe-trap */
    EXPECT((file = fopen("rows", "rb")) != NULL);
    EXPECT(fread(X, sizeof X, 1, file) == 1);
    EXPECT(fread(y, sizeof y, 1, file) == 1 && fread(v, sizeof v, 1, file) == 1);
    fclose(file);
    if (start(argv[1]) != 0)
        return 1;
    EXPECT(fastbp_load_trainer("trainer.safetensors", &model) == FASTBP_OK);
    EXPECT(model->inputs == 3 && model->outputs == 2 && model->targets == 2);
    EXPECT(model->most_rows == 6 && model->parameters == 56 && model->itemsize == sizeof(real));
    if (train() != 0)
        return 1;
    EXPECT((file = fopen("results", "wb")) != NULL);
    fwrite(out, sizeof out, 1, file);
    fwrite(e, sizeof e, 1, file);
    fwrite(g, sizeof g, 1, file);
    fwrite(J, sizeof J, 1, file);
    fclose(file);
    EXPECT((file = fopen("losses", "wb")) != NULL);
    fwrite(losses, sizeof losses, 1, file);
    fclose(file);
    if (refuse() != 0)
        return 1;
    EXPECT(PREDICT(model, 6, X, 3, out, 2) == FASTBP_OK);
    for (i = 0; i < 3; i++)
        EXPECT(pthread_create(&threads[i], NULL, work, NULL) == 0);
    for (i = 0; i < 3; i++) {
        EXPECT(pthread_join(threads[i], &said) == 0);
        if (said) {
            fprintf(stderr, "%s\\n", (char *)said);
            return 1;
        }
    }
    EXPECT(fegetexcept() == (FE_INVALID | FE_DIVBYZERO | FE_OVERFLOW));
    return close_all();
}
"""

FUNCTIONS = ("predict", "step", "step_labels", "step_from", "gradients", "gradients_labels")
FUNCTIONS += ("input_gradient", "jacobian")
OTHER = {"float": "double", "double": "float"}


def main_of(real):
    """MAIN with the names of a type."""
    names = "".join(f"#define {name.upper()} fastbp_{name}_{real}\n" for name in FUNCTIONS)
    other = f"#define OTHER_PREDICT fastbp_predict_{OTHER[real]}\n"
    return f"{names}{other}#define real {real}\n{MAIN}"


def prepare(folder, dtype):
    """The files that the program reads; its trainer, and what it must find by embed."""
    trainer = trainer_of(dtype)
    trainer.save(folder / "trainer.safetensors")
    trainer.net.save(folder / "net.safetensors")
    X, y, v = rows(dtype)
    (folder / "rows").write_bytes(X.tobytes() + y.tobytes() + v.tobytes())
    model, g = trainer.compiled(), np.empty(trainer.net.n_parameters, dtype)
    p, e, J = (np.empty((ROWS, *shape), dtype) for shape in ((2,), (3,), (2, 3)))
    embed.input_gradient(model, X, v, e)
    embed.jacobian(model, X, J)
    losses = [embed.gradients(model, X, y, g)]
    losses += [embed.step(model, X, y) for _ in range(2)]
    assert embed.step_from(model, X, v)
    losses.append(embed.step(model, X[:1], y[:1]))
    embed.predict(model, X, p)
    return trainer, b"".join(array.tobytes() for array in (p, e, g, J)), losses


@needs_libpython
@each_c
@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("real", OTHER)
def test_a_program_that_starts_python_trains_to_the_bit(tmp_path, compiler, real):
    """Under sanitizers, with floating-point traps, beside threads; fastbp.c in a shared library."""
    trainer, results, losses = prepare(tmp_path, {"float": "float32", "double": "float64"}[real])
    (tmp_path / "main.c").write_text(main_of(real))
    strict = (*C99, *SANITIZED)
    build(compiler, tmp_path, "libfastbp.so", *strict, "-shared", "-fPIC", *capi.flags())
    include = f"-I{capi.include_dir()}"
    libraries = ("-L.", "-lfastbp", "-Wl,-rpath,$ORIGIN", "-pthread")
    build(compiler, tmp_path, "main", *strict, include, "main.c", *libraries)
    code, said = call(tmp_path, "main", sys.executable)
    assert code == 0, said
    assert (tmp_path / "results").read_bytes() == results
    assert np.array_equal(np.fromfile(tmp_path / "losses"), losses)
    after = fastbp.Trainer.load(tmp_path / "after.safetensors")
    assert after.updates >= trainer.updates
    if real == "float":
        assert after.net.allclose(trainer.net, rtol=0, atol=0)


@needs_libpython
@pytest.mark.usefixtures("quiet")
def test_a_python_without_fastbp_is_named(tmp_path):
    (tmp_path / "main.c").write_text(
        '#include "fastbp.h"\n#include <stdio.h>\nint main(int n, char **argv)\n'
        '{\n    int status = fastbp_start(n > 1 ? argv[1] : "");\n'
        '    printf("%d %s", status, fastbp_message(status));\n    return 0;\n}\n'
    )
    build("gcc", tmp_path, "main", *C99, "main.c", *capi.flags())
    _, said = call(tmp_path, "main", Path(sys.base_prefix) / "bin" / "python3")
    if "19 ModuleNotFoundError: No module named 'fastbp'" not in said:
        assert said.startswith("19 ")  # there is an older fastbp, without this room, or no numba
    assert sys.base_prefix in said
    assert call(tmp_path, "main", sys.executable) == (0, "0 done")


CPP = """
#include "fastbp.h"
#include <cstdio>
#include <vector>
int main(int, char **argv)
{
    fastbp_model *model = nullptr;
    int status = fastbp_start(argv[1]);
    if (status == FASTBP_OK)
        status = fastbp_run("import fastbp\\n"
                            "net = fastbp.Network([2, 1], init='zeros')\\n"
                            "sgd = fastbp.SGD(lr=0.25)\\n"
                            "trainer = fastbp.Trainer(net, loss='mse', optimizer=sgd)\\n", &model);
    std::vector<float> x{0, 1}, y{2};
    double loss = 0;
    for (int i = 0; i < 2 && status == FASTBP_OK; i++)
        status = fastbp_step_float(model, 1, x.data(), 2, y.data(), 1, &loss);
    std::printf("%d %g %s", status, loss, fastbp_message(status));
    return status;
}
"""


@needs_libpython
@needs_cpp
@pytest.mark.usefixtures("quiet")
def test_a_program_of_cpp_trains(tmp_path):
    (tmp_path / "main.cpp").write_text(CPP)
    # g++ takes fastbp.c for C++, which it is not.
    arguments = [flag for flag in capi.flags() if not flag.endswith("fastbp.c")]
    source = f"{capi.include_dir()}/fastbp.c"
    build("gcc", tmp_path, "fastbp.o", *C99, *capi.flags()[:1], "-c", source, *arguments[1:3])
    build("g++", tmp_path, "main", *STRICT, "-std=c++11", "main.cpp", "fastbp.o", *arguments)
    assert call(tmp_path, "main", sys.executable) == (0, "0 0 done")


LIBRARY = """
#include "fastbp.h"
int learn(fastbp_model *model, int64_t count, double *loss);
int learn(fastbp_model *model, int64_t count, double *loss)
{
    int status = FASTBP_OK;
    for (int64_t i = 0; i < count && status == FASTBP_OK; i++) {
        float x[3] = {(float)i, 2, 3}, y[2] = {1, (float)i};
        status = fastbp_step_float(model, 1, x, 3, y, 2, loss);
    }
    return status;
}
"""


@each_c
def test_a_library_of_c_trains_what_python_has(tmp_path, compiler):
    """Without fastbp.c and without headers of Python: a handle's address is all it takes."""
    (tmp_path / "loop.c").write_text(LIBRARY)
    include = f"-I{capi.include_dir()}"
    build(compiler, tmp_path, "loop.so", *C99, include, "-shared", "-fPIC", "loop.c")
    library, loss = ctypes.CDLL(str(tmp_path / "loop.so")), ctypes.c_double()
    trainer, other = trainer_of(), trainer_of()
    handle = capi.Handle(trainer)
    place = ctypes.c_void_p(handle.address)
    assert library.learn(place, ctypes.c_int64(100), ctypes.byref(loss)) == 0
    model = other.compiled()
    for i in range(100):
        x, y = np.array([i, 2, 3], "float32"), np.array([1, i], "float32")
        expected = embed.step(model, x, y)
    assert loss.value == expected
    assert trainer.net.allclose(other.net, rtol=0, atol=0)


@needs_libpython
@needs_gcc
def test_fastbp_c_in_a_python_that_runs_already(tmp_path):
    build("gcc", tmp_path, "libfastbp.so", *C99, "-shared", "-fPIC", *capi.flags())
    library = ctypes.CDLL(str(tmp_path / "libfastbp.so"))
    library.fastbp_message.restype = ctypes.c_char_p
    place = ctypes.c_void_p()
    code = b"import fastbp\ntrainer = fastbp.Network([2, 3])"
    assert library.fastbp_start(None) == 0
    assert library.fastbp_run(code, ctypes.byref(place)) == 0
    path = str(tmp_path / "net.safetensors").encode()
    assert library.fastbp_save(place, path) == 0
    assert fastbp.load(tmp_path / "net.safetensors").sizes == (2, 3)
    handle = capi.Handle(trainer_of())  # one that Python has made can be saved, too
    assert library.fastbp_save(ctypes.c_void_p(handle.address), path) == 0
    assert library.fastbp_close(place) == 0
    assert library.fastbp_close(place) == list(capi.STATUSES).index("CLOSED")


def test_cffi_takes_the_declarations():
    cffi = pytest.importorskip("cffi")
    ffi = cffi.FFI()
    ffi.cdef(capi.declarations())
    trainer, (X, y, _) = trainer_of(), rows()
    handle = capi.Handle(trainer)
    model, codes = ffi.cast("fastbp_model *", handle.address), ffi.dlopen(None)
    assert (model.inputs, model.outputs, model.most_rows) == (3, 2, ROWS)
    out = np.empty((ROWS, 2), "float32")
    x, p, targets = (ffi.from_buffer(array) for array in (X, out, y))
    done = model.call(model, codes.FASTBP_PREDICT, 4, ROWS, x, 3, ffi.NULL, 0, p, 2, ffi.NULL)
    assert done == codes.FASTBP_OK
    assert np.array_equal(out, trainer.net.predict(X))
    loss = ffi.new("double *")
    step = codes.FASTBP_STEP, 4, ROWS, x, 3, targets, 2, ffi.NULL, 0, loss
    assert model.call(model, *step) == codes.FASTBP_OK
    assert loss[0] == trainer_of().step(X, y)


@pytest.mark.parametrize("language", ["c", "fortran"])
def test_the_flags_are_printed(language):
    command = [sys.executable, "-m", "fastbp.capi", *([] if language == "c" else [language])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == " ".join(capi.flags(language)).split()


def test_flags_of_another_language_are_refused():
    with pytest.raises(ValueError, match="language is 'rust', which is not known"):
        capi.flags("rust")
    command = [sys.executable, "-m", "fastbp.capi", "c", "c"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("python -m fastbp.capi: ")
