"""What to_c and to_fortran write, replace and refuse, without a compiler."""

import re

import numpy as np
import pytest
from numba import njit

import fastbp
from fastbp.export import c_numbers


def small():
    return fastbp.Network([2, 3, 1], seed=0)


def test_numbers_are_exact_in_any_locale():
    values = [0.1, -0.0, 1.0, 3.0e38, 1e-45, -1.17549435e-38, 0.0, 2.5]
    for dtype in ("float32", "float64"):
        array = np.array(values, dtype)
        texts = c_numbers.constants(array)
        back = np.array([float.fromhex(text.removesuffix("f")) for text in texts], dtype)
        assert back.tobytes() == array.tobytes()
        assert all(re.fullmatch(r"-?0x[01](\.[0-9a-f]+)?p[+-]\d+f?", text) for text in texts)
        assert all(text.endswith("f") == (dtype == "float32") for text in texts)


@pytest.mark.parametrize("weights", ["source", "file"])
def test_the_files(tmp_path, weights):
    small().to_fortran(tmp_path / "a.f90", weights=weights)
    small().to_c(tmp_path / "b.c", weights=weights)
    of_c = {"b.h", "b.c", "b_test.c"} | ({"b.bin"} if weights == "file" else set())
    of_fortran = {name.replace("b", "a", 1) for name in of_c} | {"a.f90"}
    assert {path.name for path in tmp_path.iterdir()} == of_c | of_fortran
    for path in tmp_path.iterdir():
        assert path.suffix == ".bin" or path.read_bytes().isascii()


def test_the_same_network_has_the_same_files_and_older_ones_are_replaced(tmp_path):
    net = small()
    net.to_c(tmp_path / "a.c")
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    net.set_parameters([w + 1 for w in net.weights], net.biases)
    net.to_c(tmp_path / "a.c")
    changed = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert changed["a.h"] == first["a.h"]
    assert changed["a.c"] != first["a.c"]
    small().to_c(tmp_path / "a.c")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (
            "model",
            r"path is '.*model', expected a name that ends with '\.c', such as 'surrogate\.c'",
        ),
        ("model.cpp", "ends with"),
        ("my-model.c", "the file 'my-model', with which the names of its functions begin"),
        ("2d.c", "a letter, then letters, digits and single underscores"),
        ("a__b.c", "single underscores"),
        ("_a.c", "a letter"),
        ("a_.c", "single underscores"),
        ("é.c", "a letter"),
        ("a" * 41 + ".c", "at most 40"),
        ("math.c", r"math\.h would hide the header of C"),
    ],
)
def test_a_name_that_c_cannot_have_is_refused(tmp_path, path, said):
    with pytest.raises(ValueError, match=said):
        small().to_c(tmp_path / path)
    assert not list(tmp_path.iterdir())


def test_a_name_that_fortran_cannot_have_is_refused(tmp_path):
    with pytest.raises(ValueError, match="a module of that name would hide what Fortran calls so"):
        small().to_fortran(tmp_path / "Size.f90")
    with pytest.raises(ValueError, match=r"ends with '\.f90'"):
        small().to_fortran(tmp_path / "model.c")


@njit
def shrink(z):
    return z - np.tanh(z), np.tanh(z) ** 2


def test_an_activation_of_ones_own_is_refused(tmp_path):
    net = fastbp.Network([2, 3, 1], activation=shrink)
    with pytest.raises(ValueError, match="the activation 'shrink', a function of your own"):
        net.to_c(tmp_path / "a.c")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_parameters_that_are_not_finite_are_refused(tmp_path, value):
    net = small()
    net.arrays.write_layers([(W, b * 0 + value) for W, b in net.arrays.layers()])
    with pytest.raises(ValueError, match=r"the biases of layer 1 have (nan|inf) at \(0,\)"):
        net.to_c(tmp_path / "a.c")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.h", "a.c", "a_test.c", "a.bin"])
def test_a_folder_in_the_place_of_a_file_leaves_all_others_alone(tmp_path, name):
    others = {"a.h", "a.c", "a_test.c", "a.bin"} - {name}
    (tmp_path / name).mkdir()
    for other in others:
        (tmp_path / other).write_text("old")
    with pytest.raises(IsADirectoryError, match="which is a folder: name a file in it"):
        small().to_c(tmp_path / "a.c", weights="file")
    assert {(tmp_path / other).read_text() for other in others} == {"old"}


def test_other_arguments_are_refused(tmp_path):
    with pytest.raises(ValueError, match="weights is 'files'"):
        small().to_c(tmp_path / "a.c", weights="files")
    with pytest.raises(TypeError, match="derivatives is 1"):
        small().to_c(tmp_path / "a.c", derivatives=1)
    with pytest.raises(FileNotFoundError, match="make it first"):
        small().to_c(tmp_path / "none" / "a.c")
    with pytest.raises(TypeError, match="PathLike"):
        small().to_c(3)
    assert not list(tmp_path.iterdir())
