"""Names of columns as identifiers of C and Fortran, and texts as literals and comments of C."""

import re
from collections.abc import Sequence

LONGEST = 40
"""Letters of an identifier, so that Fortran's limit of 63 is kept with what is put before it."""

KEYWORDS = """
auto break case char const continue default do double else enum extern float for goto if inline int
long register restrict return short signed sizeof static struct switch typedef union unsigned void
volatile while alignas alignof and and_eq asm bitand bitor bool catch char8_t char16_t char32_t
class co_await co_return co_yield compl concept const_cast consteval constexpr constinit decltype
delete dynamic_cast explicit export false friend mutable namespace new noexcept not not_eq nullptr
operator or or_eq private protected public reinterpret_cast requires static_assert static_cast
template this thread_local throw true try typeid typename typeof using virtual wchar_t xor xor_eq
NULL SIZE_MAX offsetof linux unix errno
"""
"""Keywords of C and C++, and macros that the headers or compilers define."""

RESERVED = frozenset(KEYWORDS.split())


def identifiers(names: Sequence[str]) -> list[str]:
    """An identifier for each name: its ASCII letters and digits, underscores for all else.

    They differ in more than upper and lower case, which Fortran does not tell apart.

    >>> from fastbp.tabular.export.c_names import identifiers
    >>> identifiers(["income", "zip code", "2nd", "zip-code", "int", "Income"])
    ['income', 'zip_code', 'x_2nd', 'zip_code_2', 'int_', 'Income_2']

    """
    taken: set[str] = set()
    found = []
    for name in names:
        base = _identifier(name)
        one, number = base, 2
        while one.lower() in taken:
            one, number = f"{base}_{number}", number + 1
        taken.add(one.lower())
        found.append(one)
    return found


def _identifier(name: str) -> str:
    text = re.sub("[^A-Za-z0-9]+", "_", name).strip("_")
    if not text or text[0].isdigit():
        text = f"x_{text}"
    text = text[:LONGEST].strip("_")
    return f"{text}_" if text in RESERVED else text


def literal(text: str) -> str:
    r"""A string of C, in UTF-8.

    >>> from fastbp.tabular.export.c_names import literal
    >>> print(literal('Köln "?"'))
    "K\303\266ln \"\?\""

    """
    return '"' + "".join(map(_character, text.encode())) + '"'


def _character(byte: int) -> str:
    character = chr(byte)
    if character in '"\\?':  # two question marks and a third character may be a trigraph
        return f"\\{character}"
    return character if 32 <= byte < 127 else f"\\{byte:03o}"


def in_comment(text: str) -> str:
    """A text in ASCII that ends no comment, and begins none."""
    return ascii(text).replace("*/", "* /").replace("/*", "/ *")
