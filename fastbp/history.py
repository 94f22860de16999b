"""What a call of fit reports."""


class History(dict[str, list[float]]):
    """Lists with one entry an epoch.

    loss: the mean over rows of the losses before each update. samples_per_second: rows trained.
    With validation data val_loss and, for losses that have one, val_accuracy.
    """

    def extend(self, **columns: list[float]) -> None:
        """Add some epochs: for each key a list with one entry for each of them."""
        for key, values in columns.items():
            self.setdefault(key, []).extend(values)
