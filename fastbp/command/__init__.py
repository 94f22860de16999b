"""The command ``fastbp``: from a file with a table to a model, and from a model to predictions.

Uses every room, tabular included; none uses it. What a subcommand needs is imported when it runs.
"""
