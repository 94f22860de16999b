"""The C code of models of tables: encoder, networks, calibration, statuses, self-test."""

import ctypes
import doctest

import numpy as np
import pytest

for package in ("pandas", "pyarrow", "sklearn"):
    pytest.importorskip(package)

from fastbp.export import c_ensemble  # noqa: E402 - packages may be missing
from fastbp.tabular.export import c_names, results, sample  # noqa: E402
from support import exported_tables  # noqa: E402
from support.compilers import (  # noqa: E402
    C99,
    FAST,
    SANITIZED,
    STRICT,
    build,
    call,
    each_c,
    needs_cpp,
    needs_gcc,
)

pytestmark = pytest.mark.process

MODELS = {
    "classifier": lambda: exported_tables.classifier("fast"),
    "best": lambda: exported_tables.classifier("best", (-(2**63), 7)),
    "regressor": lambda: exported_tables.regressor("best", 3),
}
SOURCES = ("net.c", "net_net.c", "net_net_1.c", "net_net_2.c")

C_TYPES = {
    "number": ctypes.c_double,
    "date": ctypes.c_double,
    "category": ctypes.c_char_p,
    "boolean": ctypes.c_int,
}


class Exported:
    """A model's C code in a shared library."""

    def __init__(self, model, compiler, folder, options=FAST):
        model.to_c(folder / "net.c")
        self.model, self.fields = model, exported_tables.fields_of(model)
        sizes = '#include "net.h"\nint size_of_net(void);\n'
        sizes += "int size_of_net(void)\n{\n    return (int)sizeof(net_context);\n}\n"
        (folder / "sizes.c").write_text(sizes)
        build(compiler, folder, "all.so", *C99, *options, "-shared", "-fPIC", *SOURCES, "sizes.c")
        self.library = ctypes.CDLL(str(folder / "all.so"))
        header = (folder / "net.h").read_text()
        (line,) = [x for x in header.splitlines() if x.startswith("#define NET_MODEL")]
        self.number = int(line.split()[-1].removesuffix("u"), 16)
        self.context = ctypes.create_string_buffer(self.library.size_of_net())
        self.row = type(
            "Row",
            (ctypes.Structure,),
            {"_fields_": [(f"f{i}", C_TYPES[f.column.kind]) for i, f in enumerate(self.fields)]},
        )

    def init(self, size=None, number=None):
        size = ctypes.c_size_t(len(self.context) if size is None else size)
        number = ctypes.c_uint64(self.number if number is None else number)
        return self.library.net_init(self.context, size, number)

    def rows(self, rows):
        array = (self.row * len(rows))()
        for to, row in zip(array, rows, strict=True):
            for i, (field, value) in enumerate(zip(self.fields, row, strict=True)):
                setattr(to, f"f{i}", _as_c(field, value))
        return array

    def predict(self, rows):
        out = np.full((len(rows), self.model.targets_.n_outputs), 77.0)
        place = out.ctypes.data_as(ctypes.c_void_p)
        count = ctypes.c_size_t(len(rows))
        assert self.library.net_predict(self.context, count, self.rows(rows), place) == 0
        return out

    def encode(self, rows):
        out = np.full((len(rows), self.model.encoder_.n_features), 77, np.float32)
        for to, row in zip(out, self.rows(rows), strict=True):
            place = to.ctypes.data_as(ctypes.c_void_p)
            assert self.library.net_encode(ctypes.byref(row), place) == 0
        return out


def _as_c(field, value):
    kind = field.column.kind
    if kind == "boolean":
        return -1 if value is None else int(value)
    if kind == "category":
        return None if value is None else value.encode()
    return np.nan if value is None else value


@pytest.fixture(scope="module")
def libraries(tmp_path_factory):
    """By compiler and model: its code, made when it is asked for."""
    made = {}

    def library(compiler, name):
        if (compiler, name) not in made:
            one = Exported(MODELS[name](), compiler, tmp_path_factory.mktemp(f"{compiler}_{name}"))
            assert one.init() == 0
            made[compiler, name] = one
        return made[compiler, name]

    return library


def rows_of(model, count=200):
    return sample.rows(exported_tables.fields_of(model), count, 1)


@each_c
@pytest.mark.parametrize("name", MODELS)
def test_the_encoder(libraries, compiler, name):
    one = libraries(compiler, name)
    rows = rows_of(one.model)
    wanted, found = exported_tables.encoded(one.model, rows), one.encode(rows)
    for i, title in enumerate(one.model.encoder_.feature_names_out):
        far = np.abs(found[:, i] - wanted[:, i])
        assert (far <= np.spacing(np.abs(wanted[:, i]).astype(np.float32))).all(), title


@each_c
@pytest.mark.parametrize("name", MODELS)
def test_predictions_agree_with_those_of_fastbp(libraries, compiler, name):
    one = libraries(compiler, name)
    rows = rows_of(one.model)
    table = exported_tables.table_of(one.model, rows)
    predict = getattr(one.model, "predict_proba", one.model.predict)
    members = c_ensemble.members("net", one.model.ensemble_.nets)
    allowed = results.expected(one.model, members, exported_tables.encoded(one.model, rows)).error
    assert (np.abs(one.predict(rows) - predict(table)) <= allowed).all()
    assert np.array_equal(one.predict(rows[5:6]), one.predict(rows)[5:6])


@needs_gcc
def test_texts_are_read_as_the_encoder_reads_them(libraries):
    one = libraries("gcc", "classifier")
    rows = rows_of(one.model, 30)
    places = [i for i, f in enumerate(one.fields) if f.column.kind == "category"]
    texts = ["", " ", "NA", " Ulm\t", "Ulm ", "Ul", "Ulmm", "\nred", "NaN", "none", "ulm", "null "]
    for row, text in zip(rows, texts, strict=False):
        for i in places:
            row[i] = text
    wanted = exported_tables.encoded(one.model, rows)
    assert np.abs(one.encode(rows) - wanted).max() <= 1e-6


@needs_gcc
def test_the_most_probable_class(libraries):
    one = libraries("gcc", "classifier")
    for p, place in (([0.2, 0.5, 0.3], 1), ([0.4, 0.2, 0.4], 0), ([0.1, 0.1, 0.8], 2)):
        array = np.array(p)
        found = one.library.net_most_probable(array.ctypes.data_as(ctypes.c_void_p))
        assert found == place
    texts = (ctypes.c_char_p * 3).in_dll(one.library, "net_classes")
    assert [text.decode() for text in texts] == one.model.classes_.tolist()
    other = libraries("gcc", "best")
    numbers = (ctypes.c_int64 * 2).in_dll(other.library, "net_classes")
    assert list(numbers) == other.model.classes_.tolist()


NULL_POINTER, WRONG_CONTEXT, TOO_MANY_ROWS, OVERLAP = 1, 2, 3, 4


@needs_gcc
def test_what_cannot_be_right_is_refused_by_a_code(tmp_path):
    one = Exported(MODELS["regressor"](), "gcc", tmp_path, ("-O1",))
    rows, out = one.rows(rows_of(one.model, 2)), np.full((2, 3), 77.0)
    place = out.ctypes.data_as(ctypes.c_void_p)

    def status(context, count, *arrays):
        return one.library.net_predict(context, ctypes.c_size_t(count), *arrays)

    assert status(one.context, 2, rows, place) == WRONG_CONTEXT
    assert one.init(size=len(one.context) - 8) == WRONG_CONTEXT
    assert one.init(number=one.number + 1) == WRONG_CONTEXT
    assert one.library.net_init(None, ctypes.c_size_t(8), ctypes.c_uint64(1)) == NULL_POINTER
    assert one.init() == 0
    assert status(None, 2, rows, place) == NULL_POINTER
    assert status(one.context, 2, None, place) == NULL_POINTER
    assert status(one.context, 2, rows, None) == NULL_POINTER
    assert status(one.context, 2**62, rows, place) == TOO_MANY_ROWS
    assert status(one.context, 2, rows, rows) == OVERLAP
    assert one.library.net_encode(None, place) == NULL_POINTER
    assert one.library.net_predict_row(one.context, None, place) == NULL_POINTER
    assert (out == 77).all()
    assert status(one.context, 0, None, None) == 0


@each_c
@pytest.mark.parametrize("name", MODELS)
def test_the_self_test_passes_without_a_warning_under_sanitizers(tmp_path, compiler, name):
    MODELS[name]().to_c(tmp_path / "net.c")
    build(compiler, tmp_path, "test", *C99, *SANITIZED, *SOURCES, "net_test.c")
    code, said = call(tmp_path, "test")
    assert (code, "0 failures" in said) == (0, True), said


@each_c
@pytest.mark.parametrize("options", ["-O3 -ffp-contract=off", "-Ofast -march=native"])
def test_the_self_test_passes_without_fma_and_with_fast_math(tmp_path, compiler, options):
    MODELS["classifier"]().to_c(tmp_path / "net.c")
    build(compiler, tmp_path, "test", *C99, *options.split(), *SOURCES, "net_test.c")
    assert call(tmp_path, "test")[0] == 0


@needs_gcc
def test_the_self_test_sees_another_level(tmp_path):
    MODELS["classifier"]().to_c(tmp_path / "net.c")
    path = tmp_path / "net.c"
    path.write_text(path.read_text().replace('{"Ulm", ', '{"Uln", '))
    build("gcc", tmp_path, "test", *C99, *SOURCES, "net_test.c")
    code, said = call(tmp_path, "test")
    assert code == 1
    assert "FAILED" in said


@needs_gcc
def test_files_of_different_models_do_not_compile_together(tmp_path):
    MODELS["classifier"]().to_c(tmp_path / "net.c")
    old = (tmp_path / "net_net_1.h").read_text()
    MODELS["best"]().to_c(tmp_path / "net.c")
    (tmp_path / "net_net_1.h").write_text(old)
    with pytest.raises(AssertionError, match="of different networks: write them again"):
        build("gcc", tmp_path, "test", *C99, *SOURCES, "net_test.c")


CPP = """
#include "net.h"
#include <cmath>
#include <cstdio>
int main()
{
    static net_context context;
    net_row row = net_row();
    double out[NET_OUTPUTS];
    row.income = NAN;
    row.town = "Ulm";
    row.smoker = 1;
    int status = net_init(&context, sizeof context, NET_MODEL);
    if (status == NET_OK)
        status = net_predict_row(&context, &row, out);
    std::printf("%s", net_classes[net_most_probable(out)]);
    return status;
}
"""


@needs_cpp
@needs_gcc
def test_a_program_of_cpp_calls_it(tmp_path):
    model = MODELS["classifier"]()
    model.to_c(tmp_path / "net.c")
    (tmp_path / "main.cpp").write_text(CPP)
    build("gcc", tmp_path, "net.so", *C99, "-shared", "-fPIC", *SOURCES)
    build("g++", tmp_path, "main", *STRICT, "-std=c++11", "main.cpp", "./net.so")
    code, said = call(tmp_path, "main")
    assert code == 0
    assert said in model.classes_.tolist()


@needs_gcc
def test_dates_of_all_years(libraries):
    """Beside leap days, ends of years and centuries, before 1970 and far behind it."""
    one = libraries("gcc", "regressor")
    years = (1599, 1600, 1700, 1899, 1900, 1969, 1970, 2000, 2024, 2099, 2100, 2399, 2400)
    days = [f"{y}-{d}" for y in years for d in ("01-01", "02-28", "03-01", "12-31")]
    i = [field.column.name for field in one.fields].index("since")
    for beyond in (0, 1, 86_399):
        seconds = np.array(days, "M8[s]").astype(np.int64) + beyond
        rows = rows_of(one.model, len(days))
        for row, value in zip(rows, seconds, strict=True):
            row[i] = int(value)
        wanted = exported_tables.encoded(one.model, rows)
        assert np.abs(one.encode(rows) - wanted).max() <= 2**-22


# Names


def test_the_examples_of_names():
    flags = doctest.NORMALIZE_WHITESPACE
    failed, tried = doctest.testmod(c_names, optionflags=flags)
    assert failed == 0
    assert tried > 0


def test_names_become_identifiers_that_differ():
    names = ["a b", "a-b", "A_B", "größe", "", "9", "for", "NULL", "x" * 70, "_a_", "日本"]
    found = c_names.identifiers(names)
    assert found[:3] == ["a_b", "a_b_2", "A_B_3"]
    assert found[3:8] == ["gr_e", "x_", "x_9", "for_", "NULL_"] or found[4].startswith("x")
    assert len({one.lower() for one in found}) == len(names)
    assert all(one.isascii() and one.isidentifier() and len(one) < 60 for one in found)


def test_a_level_with_nul_is_refused_by_its_column(tmp_path):
    model = exported_tables.classifier()
    for field in exported_tables.fields_of(model):
        if field.column.name == "town":
            object.__setattr__(field.part, "levels", ("a\0b", *field.part.levels[1:]))
    with pytest.raises(ValueError, match="column 'town' has the level"):
        model.to_c(tmp_path / "net.c")
    assert list(tmp_path.iterdir()) == []
