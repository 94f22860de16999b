"""The encoder of a table as C99: from a struct of one row to the inputs of networks."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...export.c_math import Function
from ...export.c_numbers import array_text, constants
from ..categories import OneHot, Pair
from ..dates import DAY, FIRST_DAY, THURSDAY, Date
from ..numbers import Number
from ..scales import LARGEST_SCALED, SMOOTH_CLIP, Piecewise, Robust
from ..values import LARGEST, MISSING
from .c_names import literal
from .fields import Field, places

_MISSING = """
/* by bits: -ffast-math takes NaN for impossible */
static int is_missing(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof x);
    return (bits & 0x7fffffffffffffffu) > 0x7ff0000000000000u;
}
"""

_USABLE = f"""
/* a missing number is the median, an infinite one the end on its side */
static double usable(double x, double median, double low, double high)
{{
    if (is_missing(x))
        return median;
    if (fabs(x) > {LARGEST})
        return x > 0.0 ? high : low;
    return x;
}}
"""

_ROBUST = f"""
/* centred, scaled, and softly clipped to (-{SMOOTH_CLIP:g}, {SMOOTH_CLIP:g}) */
static float robust(double x, double median, double divisor)
{{
    double s = (x - median) / divisor, third;
    s = s > {LARGEST_SCALED} ? {LARGEST_SCALED} : s < -{LARGEST_SCALED} ? -{LARGEST_SCALED} : s;
    third = s / {SMOOTH_CLIP};
    return (float)(s / sqrt(third * third + 1.0));
}}
"""

_PIECEWISE = """
/* how far x has come through each bin; edges (bins + 1,) */
static void piecewise(float *inputs, double x, const double *edges, size_t bins)
{
    size_t t;
    for (t = 0; t < bins; t++) {
        double share = (x - edges[t]) / (edges[t + 1] - edges[t]);
        inputs[t] = (float)(share < 0.0 ? 0.0 : share > 1.0 ? 1.0 : share);
    }
}
"""

_QUOTIENT = """
/* of whole numbers; the half keeps off what -ffast-math makes of a division without rest */
static double quotient(double x, double divisor)
{
    return floor((x + 0.5) / divisor);
}
"""

_YEAR = f"""
/* the first day of a year, counted from 1970-01-01 */
static double first_day(double year)
{{
    double y = year - 1.0, leaps = quotient(y, 4.0) - quotient(y, 100.0) + quotient(y, 400.0);
    return y * 365.0 - {FIRST_DAY}.0 + leaps;
}}

/* the year with the fraction that has passed */
static double year_of(double seconds)
{{
    double whole = floor(seconds), days = quotient(whole, {DAY}.0), begin, end;
    double year = floor((days + {FIRST_DAY}.0) / 365.2425) + 1.0; /* or the one before */
    year += first_day(year + 1.0) <= days ? 1.0 : 0.0;
    begin = first_day(year) * {DAY}.0;
    end = first_day(year + 1.0) * {DAY}.0;
    return year + (whole - begin) / (end - begin);
}}
"""

_MONTH = """
static double month_of(double seconds)
{
    double year = year_of(seconds);
    return year - floor(year);
}
"""

_WEEKDAY = f"""
static double weekday_of(double seconds)
{{
    double days = quotient(floor(seconds), {DAY}.0) + {THURSDAY}.0;
    return (days - quotient(days, 7.0) * 7.0) / 7.0;
}}
"""

_HOUR = f"""
static double hour_of(double seconds)
{{
    double whole = floor(seconds);
    return (whole - quotient(whole, {DAY}.0) * {DAY}.0) / {DAY}.0;
}}
"""

_CYCLE = """
/* phase: the share of the cycle that has passed */
static void cycle(float *inputs, double seconds, double phase)
{
    double angle = phase * 6.283185307179586;
    inputs[0] = is_missing(seconds) ? 0.0f : (float)sin(angle);
    inputs[1] = is_missing(seconds) ? 0.0f : (float)cos(angle);
}
"""

_LEVELS = """
typedef struct {
    const char *text;
    int place;
} level;

static int is_space(char c)
{
    return c == ' ' || (c >= '\\t' && c <= '\\r');
}

/* below, at or above 0, as length bytes of a text are before, at or behind another text */
static int order(const char *text, size_t length, const char *other)
{
    int found = strncmp(text, other, length);
    return found != 0 ? found : other[length] == '\\0' ? 0 : -1;
}

/* the level of a text among sorted ones, or NULL */
static const level *found_level(const char *text, size_t length, const level *levels, size_t count)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int found = order(text, length, levels[middle].text);
        if (found == 0)
            return levels + middle;
        if (found < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}
"""

_PLACE = """
static int place_of(const char *text, const level *levels, size_t count, int others, int missing)
{
    const level *found;
    size_t length;
    if (text == NULL)
        return missing;
    while (is_space(*text))
        text++;
    length = strlen(text);
    while (length > 0 && is_space(text[length - 1]))
        length--;
    if (found_level(text, length, words, sizeof words / sizeof *words) != NULL)
        return missing;
    found = found_level(text, length, levels, count);
    return found != NULL ? found->place : others;
}
"""

_TRUTH = """
static int place_of_truth(int truth, int when_false, int when_true, int missing)
{
    return truth < 0 ? missing : truth > 0 ? when_true : when_false;
}
"""

_ONE_HOT = """
static void one_hot(float *inputs, size_t width, int place)
{
    size_t j;
    for (j = 0; j < width; j++)
        inputs[j] = 0.0f;
    if (place >= 0)
        inputs[place] = 1.0f;
}
"""

_PAIR = """
static float pair(int place)
{
    return place < 0 ? 0.0f : place == 0 ? -1.0f : 1.0f;
}
"""


def _sorted(levels: dict[str, int]) -> list[str]:
    """Levels as rows of C, in the order of their bytes."""
    texts = sorted(levels, key=str.encode)
    return [f"    {{{literal(text)}, {levels[text]}}},\n" for text in texts]


_WORDS = (
    "\n/* text that stands for a missing value */\nstatic const level words[] = {\n"
    + "".join(_sorted(dict.fromkeys(MISSING, 0)))
    + "};\n"
)

FUNCTIONS = {
    "is_missing": Function(_MISSING),
    "usable": Function(_USABLE, ("is_missing",)),
    "robust": Function(_ROBUST),
    "piecewise": Function(_PIECEWISE),
    "quotient": Function(_QUOTIENT),
    "year": Function(_YEAR, ("quotient",)),
    "month": Function(_MONTH, ("year",)),
    "weekday": Function(_WEEKDAY, ("quotient",)),
    "hour": Function(_HOUR, ("quotient",)),
    "cycle": Function(_CYCLE, ("is_missing",)),
    "levels": Function(_LEVELS),
    "words": Function(_WORDS, ("levels",)),
    "place": Function(_PLACE, ("words",)),
    "truth": Function(_TRUTH),
    "one_hot": Function(_ONE_HOT),
    "pair": Function(_PAIR),
}
"""The functions that an encoder may call, by name."""


class Encoder:
    """The lines of an encoder, its tables of constants, and the functions that it needs."""

    def __init__(self, fields: Sequence[Field], names: Sequence[str]) -> None:
        """names: of the fields of the struct."""
        self.lines, self.tables, self.needs = list[str](), list[str](), list[str]()
        for number, (field, name) in enumerate(zip(fields, names, strict=True)):
            self._add(field, number, f"row->{name}")

    def _add(self, field: Field, number: int, value: str) -> None:
        part, start = field.part, field.start
        if isinstance(part, Number):
            self._number(part, number, value, start)
        elif isinstance(part, Date):
            self._date(part, number, value, start)
        else:
            self._category(field, part, number, value)

    def _line(self, text: str, *needs: str) -> None:
        self.lines.append(f"    {text}\n")
        self.needs += needs

    def _number(self, part: Number, number: int, x: str, start: int) -> None:
        usable = f"usable({x}, {numbers(part.median, part.low, part.high)})"
        if isinstance(part.scale, Robust):
            scale = numbers(part.scale.median, part.scale.divisor)
            self._line(f"inputs[{start}] = robust({usable}, {scale});", "usable", "robust")
        elif isinstance(part.scale, Piecewise):
            edges, count = part.scale.edges, part.scale.width
            head = f"\nstatic const double edges_{number}[{count + 1}]"
            self.tables.append(array_text(head, [("", edges)]))
            call = f"piecewise({_at(start)}, {usable}, edges_{number}, {count});"
            self._line(call, "usable", "piecewise")
        if part.missing:
            place = start + part.width - 1
            self._line(f"inputs[{place}] = is_missing({x}) ? 1.0f : 0.0f;", "is_missing")

    def _date(self, part: Date, number: int, seconds: str, start: int) -> None:
        if part.year.width:
            self.needs.append("year")
            self._number(part.year, number, f"year_of({seconds})", start)
        for i, cycle in enumerate(part.cycles):
            place = _at(start + part.year.width + 2 * i)
            self._line(f"cycle({place}, {seconds}, {cycle}_of({seconds}));", "cycle", cycle)

    def _category(self, field: Field, part: Pair | OneHot, number: int, value: str) -> None:
        levels, others, missing = places(part)
        if field.column.kind == "boolean":
            truth = ", ".join(str(levels.get(level, others)) for level in ("false", "true"))
            place, need = f"place_of_truth({value}, {truth}, {missing})", "truth"
        else:
            place = f"place_of({value}, {self._levels(levels, number)}, {others}, {missing})"
            need = "place"
        if isinstance(part, OneHot):
            call = f"one_hot({_at(field.start)}, {part.width}, {place});"
            self._line(call, need, "one_hot")
            return
        self._line(f"inputs[{field.start}] = pair({place});", need, "pair")
        if part.missing:
            self._line(f"inputs[{field.start + 1}] = {place} == {missing} ? 1.0f : 0.0f;")

    def _levels(self, levels: dict[str, int], number: int) -> str:
        """The arguments that are the table of these levels."""
        if not levels:
            return "NULL, 0"
        rows = "".join(_sorted(levels))
        head = f"\nstatic const level levels_{number}[{len(levels)}]"
        self.tables.append(f"{head} = {{\n{rows}}};\n")
        self.needs.append("levels")
        return f"levels_{number}, {len(levels)}"


def _at(place: int) -> str:
    return f"inputs + {place}" if place else "inputs"


def numbers(*values: Any) -> str:
    """Constants of type double, with commas between."""
    return ", ".join(constants(np.array(values, np.float64)))
