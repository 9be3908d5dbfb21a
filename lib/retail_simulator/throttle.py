"""The token bucket that each retailer throttles with, in its own unit and at its own rate."""

from retail_simulator.clock import SimulatedClock


class Bucket:
    """Holds up to `capacity` and refills at `per_second`."""

    def __init__(self, clock: SimulatedClock, *, capacity: float, per_second: float) -> None:
        self._clock = clock
        self.capacity = capacity
        self.per_second = per_second
        self._level = capacity
        self._filled = clock.now()

    @property
    def level(self) -> float:
        """What can be taken now."""
        now = self._clock.now()
        self._level = min(self.capacity, self._level + (now - self._filled) * self.per_second)
        self._filled = now
        return self._level

    def take(self, amount: float = 1.0) -> bool:
        """Take `amount` if it is there."""
        if self.level < amount:
            return False
        self._level -= amount
        return True

    def give_back(self, amount: float) -> None:
        """Return what was taken but not used."""
        self._level = min(self.capacity, self.level + amount)
