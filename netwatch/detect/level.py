"""A running level and spread, for what windows do not bring a normal of. Score first, then learn."""


class Level:
    """Exponential averages of a value and of its distance from the level; they mean something after ``WARM`` values."""

    WARM = 8
    WEIGHT = 0.1

    def __init__(self) -> None:
        self.value = 0.0
        self.spread = 0.0
        self.learned = 0

    @property
    def warm(self) -> bool:
        return self.learned >= self.WARM

    def learn(self, value: float) -> None:
        """Take in one value; early ones weigh more, so that the level does not start from zero."""
        self.learned += 1
        weight = 1.0 / self.learned
        if weight < self.WEIGHT:
            weight = self.WEIGHT
        distance = abs(value - self.value) if self.learned > 1 else 0.0
        self.value += weight * (value - self.value)
        self.spread += weight * (distance - self.spread)
