"""Code that is linked into a C function last, because it depends on what is measured (choices.py).

Everything else of a C function is the same on all machines of a vector width: it can be compiled
ahead of time (shipped.py). Kernels declare the functions of late code, and call them.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir

from . import choices
from .choices import Choice

Builder = Callable[[ir.Module, Choice], None]

_builders: list[Builder] = []


def build_by(builder: Builder) -> Builder:
    """Let ``builder(module, choice)`` define functions of the late code."""
    _builders.append(builder)
    return builder


@cache
def _text(choice: Choice) -> str:
    module = ir.Module("fastbp_late_code")
    for builder in _builders:
        builder(module, choice)
    return str(module)


def module() -> Any:
    """The late code of this process's choice, as an LLVM module of its own."""
    return llvm.parse_assembly(_text(choices.current()))


def link_into(target: Any) -> None:
    """Define what an LLVM module declares of the late code."""
    late = module()
    names = {function.name for function in late.functions}
    target.link_in(late)
    for function in target.functions:
        if function.name in names and not function.is_declaration:
            function.linkage = llvm.Linkage.internal
