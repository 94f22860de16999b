"""Dates in text: three forms, and the third one with day and month exchanged."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..common.types import Ints

ISO = "year-month-day"
_TIME = (
    r"(?:[T ](?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,]\d+)?)?"
    r" ?(?:Z|[+-]\d{2}:?(?:\d{2})?)?)?$"
)
FORMS = {
    ISO: r"^(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})" + _TIME,
    "day.month.year": r"^(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4})" + _TIME,
    "month/day/year": r"^(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4})" + _TIME,
    "day/month/year": r"^(?P<day>\d{1,2})/(?P<month>\d{1,2})/(?P<year>\d{4})" + _TIME,
}
"""How each form is read, a time of day behind it included; offsets from UTC play no part."""

FIELDS = ("year", "month", "day", "hour", "minute", "second")
FEW = 20
"""Texts that are looked at before all others."""


def forms_of(texts: pa.Array) -> list[str]:
    """The forms that all of these texts have, nulls apart."""
    fitting = [form for form in FORMS if _all_read(texts.slice(0, FEW), form)]
    return [form for form in fitting if _all_read(texts, form)]


def _all_read(texts: pa.Array, form: str) -> bool:
    present = texts.drop_null()
    return len(present) > 0 and not np.isnat(read(present, form)).any()


def read(texts: pa.Array, form: str) -> npt.NDArray[np.datetime64]:
    """datetime64[s] of each text; NaT for null, and for what is no date of this form."""
    parts = pc.extract_regex(texts, pattern=FORMS[form])
    names = [parts.type.field(i).name for i in range(parts.type.num_fields)]
    found = dict(zip(names, parts.flatten(), strict=True))
    year, month, day, hour, minute, second = (_integers(found[name]) for name in FIELDS)
    months = (year - 1970).astype("M8[Y]").astype("M8[M]") + (month - 1).astype("m8[M]")
    days = months.astype("M8[D]") + (day - 1).astype("m8[D]")
    stamps = days.astype("M8[s]") + (3600 * hour + 60 * minute + second).astype("m8[s]")
    exists = (days.astype("M8[M]") == months) & (months.astype("M8[Y]").astype(int) == year - 1970)
    exists &= (hour < 24) & (minute < 60) & (second <= 60)
    exists &= np.asarray(pc.is_valid(parts).to_numpy(zero_copy_only=False))
    return np.where(exists, stamps, np.datetime64("NaT", "s"))


def _integers(digits: pa.Array) -> Ints:
    """Integers of these digits, 0 where there are none."""
    digits = pc.fill_null(digits, "")
    digits = pc.if_else(pc.equal(digits, ""), pa.scalar("0", digits.type), digits)
    return np.asarray(digits.cast(pa.int64()).to_numpy(zero_copy_only=False))
