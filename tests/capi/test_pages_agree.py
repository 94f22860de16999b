"""What is said in Python, C and Fortran about codes and fields is the same."""

import re
from pathlib import Path

from fastbp import capi
from fastbp.kernels.entry import c_calls

FOLDER = Path(capi.include_dir())
HEADER, SOURCE = ((FOLDER / f"fastbp.{kind}").read_text(encoding="ascii") for kind in "hc")
FORTRAN = (FOLDER / "fastbp.f90").read_text(encoding="ascii")


def enumerated(text, prefix="FASTBP_"):
    return {name: int(value) for name, value in re.findall(rf"{prefix}(\w+) = (-?\d+)", text)}


def test_the_codes_of_the_header_are_those_of_the_table():
    found = enumerated(HEADER.partition("/* What a call is to do. */")[0])
    assert found == {name: code for code, name in enumerate(capi.STATUSES)}


def test_the_codes_of_the_kernel_are_those_of_the_table():
    other = {"BUSY": "BUSY_NOW"}  # BUSY is a field of the struct
    for code, name in enumerate(capi.STATUSES):
        if name not in ("NOT_STARTED", "PYTHON"):  # of fastbp.c
            assert vars(c_calls)[other.get(name, name)] == code


def test_the_texts_of_the_source_are_those_of_the_table():
    (part,) = re.findall(r"texts\[\] = \{(.*?)\};", SOURCE, re.DOTALL)
    assert re.findall(r'"(.*?)",', part) == list(capi.STATUSES.values())


def test_the_codes_of_fortran_are_those_of_the_table():
    (part,) = re.findall(r"enum, bind\(c\)(.*?)end enum", FORTRAN, re.DOTALL)
    found = re.findall(r"fastbp_(\w+)", part)
    assert found == ["wrong_shape", *(name.lower() for name in capi.STATUSES)]
    assert "fastbp_wrong_shape = -1" in part
    (listed,) = re.findall(r"use fastbp_base, only: (.*?)\n    use", FORTRAN, re.DOTALL)
    assert set(re.findall(r"fastbp_(\w+)", listed)) == {*found, "model", "state"}


def test_the_tasks_are_those_of_the_kernel():
    names = ("PREDICT", "STEP", "STEP_FROM", "GRADIENTS", "INPUT_GRADIENT", "JACOBIAN")
    found = enumerated(HEADER.partition("/* What a call is to do. */")[2])
    assert found == {name: vars(c_calls)[name] for name in (*names, "LABELS")}
    of_fortran = dict(re.findall(r"(\w+?)__ = (-?\d+)", FORTRAN))
    assert {name: int(of_fortran[name.lower()]) for name in (*names, "LABELS")} == found


def test_the_fields_are_those_of_the_kernel():
    (struct,) = re.findall(r"struct fastbp_model \{(.*?)\n\};", HEADER, re.DOTALL)
    found = re.findall(r"int64_t (?:\(\*)?(\w+)(?:;|\)\()", struct)
    (of_fortran,) = re.findall(
        r"type, bind\(c\) :: fastbp_model\n(.*?)end type", FORTRAN, re.DOTALL
    )
    assert re.findall(r"\w+", re.sub(r"(?m)^.*?::", "", of_fortran)) == found
    columns = [name.lower() for name in c_calls.__dict__ if name.isupper()]
    start = columns.index("version")
    assert columns[start : start + len(found)] == found
    assert len(found) == c_calls.C_MODEL
    assert f"{c_calls.INTERFACE:#x}" in HEADER
    assert f"{c_calls.INTERFACE:x}" in FORTRAN
