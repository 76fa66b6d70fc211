"""What breaks without an attacker: senders who all come back after an outage, one-way paths, and idle sessions that get lost."""

from collections.abc import Callable
from ipaddress import ip_network

from captures.generator.dialogues import smtp_delivery, tls_handshake
from captures.generator.mail_site import BEFORE_S, SENDERS, SMTP, SUBSCRIBERS, crowd, hold
from captures.generator.people import Returning
from captures.generator.scene import Scene
from captures.generator.session import Session
from captures.generator.wire import Endpoint, Packet


def senders_with_queues(scene: Scene, *, per_s: float, outage_s: tuple[float, float], returning_per_s: float, storm_s: float) -> None:
    """Senders whose mail the outage held up return together, more often than they ever came."""
    start_s, end_s = outage_s
    scene.outage(SMTP, start_s, end_s)
    turned_away: list[bytes] = []
    for at_s in scene.arrivals(per_s, -BEFORE_S, scene.length_s):
        client = SENDERS.pick(scene.rng)
        hold(scene, smtp_delivery, client, SMTP, at_s=at_s)
        if start_s <= at_s < end_s:
            turned_away.append(client)
    crowd(scene, smtp_delivery, Returning(turned_away), SMTP, per_s=returning_per_s, start_s=end_s, end_s=end_s + storm_s)


def between(prefix: str, *, outbound_from_s: float) -> Callable[[Packet], bool]:
    """Packets from the site to a prefix, from some moment on: what a tap no longer sees when the way back has changed."""
    network = ip_network(prefix)

    def unseen(packet: Packet) -> bool:
        address = int.from_bytes(packet.target.address, "big")
        same_family = len(packet.target.address) * 8 == network.max_prefixlen
        inside = same_family and int(network.network_address) <= address <= int(network.broadcast_address)
        return inside and not packet.inbound and packet.at_us >= outbound_from_s * 1e6

    return unseen


def idle_sessions(scene: Scene, server: Endpoint, *, per_s: float, gap_s: tuple[float, float], answered: bool) -> None:
    """Sessions that rest for some minutes and then speak again; those that began too late do so after the capture."""
    for at_s in scene.arrivals(per_s, -BEFORE_S, scene.length_s):
        session = Session(scene, SUBSCRIBERS.pick(scene.rng), server, at_s=at_s)
        tls_handshake(session).answer(90).ask(70).answer(60).wait(float(scene.rng.uniform(*gap_s)))
        if answered:
            session.ask(50).answer(300).wait(0.5).close()
        else:
            session.ask_in_vain(50)


def kept_alive_sessions(scene: Scene, server: Endpoint, *, per_s: float, gap_s: tuple[float, float], probe_s: float) -> None:
    """The same rest, with a keep-alive each minute: no state in between expires."""
    for at_s in scene.arrivals(per_s, -BEFORE_S, scene.length_s):
        session = Session(scene, SUBSCRIBERS.pick(scene.rng), server, at_s=at_s)
        tls_handshake(session).answer(90).ask(70).answer(60).wait(1.0)
        resume_s = session.now_s + float(scene.rng.uniform(*gap_s))
        while session.now_s + probe_s < resume_s:
            session.wait(probe_s).keepalive()
        session.wait(max(0.0, resume_s - session.now_s)).ask(50).answer(300).wait(0.5).close()
