"""Tables as they are: columns of numbers, text and dates become inputs of networks.

Uses every room of the library; none below it uses it. Importing it needs ``fastbp[tabular]``.
"""

from ..common.optional import need

need("pyarrow", "tabular", "fastbp.tabular")
need("sklearn", "tabular", "fastbp.tabular")
