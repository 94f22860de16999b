"""The time that a fit has: how many networks and epochs fit into it, and when it is over."""

import time

MARGIN = 0.05
"""The share of the limit that is kept for what follows the training: predictions of held-out rows,
and what is not measured."""

PACE = 0.85
"""The share of the remaining time for which epochs are planned: other epochs may be slower than
those that were measured, and a fit that is cut has not had its last, lowest learning rates."""

FEWEST_EPOCHS = 16
"""Members are left out sooner than that each makes fewer epochs: half-trained ones average to less
than fewer that are trained."""


class Clock:
    """The time of a fit, from when it is made.

    limit: seconds, or None for no limit. at_once: the members that are trained at a time.
    seconds_per_epoch: of a member beside the others, once it is measured.
    """

    def __init__(self, limit: float | None) -> None:
        self.began = time.perf_counter()
        self.limit = limit
        self.at_once = 1
        self.seconds_per_epoch = 0.0

    @property
    def seconds(self) -> float:
        """The seconds since it was made."""
        return time.perf_counter() - self.began

    @property
    def left(self) -> float:
        """The seconds that are left to train in."""
        return float("inf") if self.limit is None else self.limit * (1 - MARGIN) - self.seconds

    @property
    def is_over(self) -> bool:
        """Whether no time is left."""
        return self.left <= 0

    @property
    def share(self) -> float:
        """The share of an epoch that is planned where the time is less than an epoch takes."""
        return PACE * max(0.0, self.left) / max(self.seconds_per_epoch, 1e-9)

    @property
    def has_an_epoch(self) -> bool:
        """Whether the time is enough for an epoch, as far as its seconds are known."""
        return self.left > self.seconds_per_epoch

    def members(self, members: int, epochs: int) -> int:
        """How many of the members can be trained, for so many epochs or ``FEWEST_EPOCHS``.

        One where not even an epoch can be made.
        """
        if not self.has_an_epoch:
            return 1
        while members > 1 and self.epochs(0, members, epochs) < min(epochs, FEWEST_EPOCHS):
            members -= 1
        return members

    def epochs(self, member: int, members: int, epochs: int) -> int:
        """How many epochs a member can make that begins now, if each later one is to have as many.

        member: its number, from 0. epochs: the most.
        """
        if self.limit is None:
            return epochs
        rounds = -(-members // self.at_once) - member // self.at_once
        seconds = PACE * self.left / rounds
        return min(max(1, int(seconds / max(self.seconds_per_epoch, 1e-9))), epochs)
