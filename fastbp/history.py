"""What a call of fit reports."""


class History(dict[str, list[float]]):
    """Lists with one entry an epoch.

    loss: the mean over rows of the losses before each update. samples_per_second: rows trained.
    With validation data val_loss and, for losses that have one, val_accuracy.
    """

    def record(self, **values: float) -> None:
        """Add one epoch."""
        for key, value in values.items():
            self.setdefault(key, []).append(value)
