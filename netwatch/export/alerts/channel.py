"""A channel: one way out to people or their systems, and how a failed delivery says whether trying again is of use."""

from typing import Protocol, TypeVar

Item = TypeVar("Item", contravariant=True)


class Undelivered(Exception):  # noqa: N818 -- it says what happened to a message; a courier decides whether that is an error
    """A message did not get through. The text never holds a secret.

    ``reason`` is a slug to count by. ``again`` says whether to try once more; ``after_s`` is what the receiver asked to wait.
    """

    def __init__(self, reason: str, text: str, *, again: bool, after_s: float | None = None) -> None:
        super().__init__(text)
        self.reason = reason
        self.again = again
        self.after_s = after_s


class Channel(Protocol[Item]):
    """Delivers one message at a time, in the order in which it is given them."""

    @property
    def name(self) -> str:
        """Shown in errors: the sink's name, and which of its receivers, without secrets."""
        ...

    async def deliver(self, item: Item) -> None:
        """Send one message and wait for the receiver's word.

        Raises:
            Undelivered: it did not get through.
        """
        ...

    async def send_test(self, now_s: float) -> None:
        """Send one message that is clearly marked as a test, and leave nothing open.

        Raises:
            Undelivered: it did not get through.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
