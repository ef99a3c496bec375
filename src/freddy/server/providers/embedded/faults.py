"""What can be wrong with the embedded model, each with a cure that an operator can follow."""


class Unavailable(Exception):
    """`reason` says what is wrong, `cure` what to do about it."""

    def __init__(self, reason: str, cure: str = "") -> None:
        super().__init__(f"{reason}: {cure}" if cure else reason)
        self.reason = reason
        self.cure = cure


class EngineUnavailable(Unavailable):
    """No engine answers."""


class WeightsUnavailable(Unavailable):
    """A model's file is not there, not right, or cannot be fetched."""


class NoRoom(WeightsUnavailable):
    """No other source can help: the disk is full."""
