"""The site and its normal life: a mail provider's services behind one firewall, and the senders and subscribers who use them.

Addresses are of the ranges for documentation, benchmarks and carriers' own use (RFC 5737, 3849, 2544, 6598). Every capture starts in the
middle of this life, and at least 20 s of it come before anything else, so that what is normal can be learned.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from captures.generator import dialogues
from captures.generator.people import People
from captures.generator.scene import Scene, endpoint
from captures.generator.session import ServerGoneError, Session
from captures.generator.wire import Endpoint

SMTP = endpoint("203.0.113.25", 25)
SMTP6 = endpoint("2001:db8:113::25", 25)
IMAPS = endpoint("203.0.113.93", 993)
HTTPS = endpoint("203.0.113.80", 443)
DNS = endpoint("203.0.113.53", 53)
RESOLVER = endpoint("203.0.113.54", 53).address

SENDERS = People(*(f"198.18.{number}.0/24" for number in range(1, 25)))
SENDERS6 = People(*(f"2001:db8:{number:x}::/48" for number in range(0xA1, 0xA7)))
SUBSCRIBERS = People(*(f"100.64.{number}.0/24" for number in range(8, 20)))
NAME_SERVERS = People(*(f"198.19.{number}.0/24" for number in range(1, 9)))

BEFORE_S = 6.0
"""Sessions begin this long before the capture, seconds."""


class Source(Protocol):
    def pick(self, rng: np.random.Generator) -> bytes: ...


def hold(scene: Scene, dialogue: Callable[[Session], None], client: bytes, server: Endpoint, *, at_s: float) -> bool:
    """One dialogue; False if the server went away within."""
    try:
        dialogue(Session(scene, client, server, at_s=at_s))
    except ServerGoneError:
        return False
    return True


def crowd(
    scene: Scene,
    dialogue: Callable[[Session], None],
    people: Source,
    server: Endpoint,
    *,
    per_s: float,
    start_s: float = -BEFORE_S,
    end_s: float | None = None,
    growing_to: float | None = None,
) -> None:
    """Many hold the same dialogue; they arrive independently of each other."""
    for at_s in scene.arrivals(per_s, start_s, scene.length_s if end_s is None else end_s, growing_to=growing_to):
        hold(scene, dialogue, people.pick(scene.rng), server, at_s=at_s)


def normal_life(scene: Scene, *, level: float = 1.0, smtp_per_s: float = 8.0) -> None:
    """Mail in, mailboxes read, pages served, names looked up; a few scanners and health checks that hang up."""
    crowd(scene, dialogues.smtp_delivery, SENDERS, SMTP, per_s=smtp_per_s * level)
    crowd(scene, dialogues.smtp_delivery, SENDERS6, SMTP6, per_s=1.0 * level)
    crowd(scene, dialogues.imaps_poll, SUBSCRIBERS, IMAPS, per_s=2.0 * level)
    crowd(scene, dialogues.https_request, SUBSCRIBERS, HTTPS, per_s=1.5 * level)
    crowd(scene, dialogues.hang_up, SENDERS, SMTP, per_s=0.15 * level)
    for at_s in scene.arrivals(4.0 * level, -BEFORE_S, scene.length_s):
        client = NAME_SERVERS.pick(scene.rng)
        dialogues.udp_exchange(scene, Endpoint(client, scene.ephemeral_port(client)), DNS, at_s=at_s)
    for at_s in scene.arrivals(6.0 * level, -BEFORE_S, scene.length_s):
        ask_the_world(scene, at_s)


def ask_the_world(scene: Scene, at_s: float) -> None:
    """The site's resolver looks up a name, as each mail makes it do several times."""
    client = Endpoint(RESOLVER, scene.ephemeral_port(RESOLVER))
    server = Endpoint(NAME_SERVERS.pick(scene.rng), 53)
    dialogues.udp_exchange(scene, client, server, at_s=at_s, outward=True)
