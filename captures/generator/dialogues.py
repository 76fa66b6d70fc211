"""What is said within a session, by its sizes: the mail site's protocols as a tap sees them."""

from captures.generator.scene import Scene
from captures.generator.session import CLIENT, SERVER, SITE_DELAY_S, Session
from captures.generator.wire import UDP, Endpoint, Fragment, Packet

FRAGMENT_PAYLOAD = 1480  # of an MTU of 1500


def smtp_delivery(session: Session) -> None:
    """Banner, EHLO, a pipelined envelope (RFC 2920), the message, QUIT: one mail, which most often is small."""
    rng = session.scene.rng
    size = 300 + int(rng.lognormal(7.4, 1.0))  # median 2 kB
    session.open().answer(60 + int(rng.integers(40))).ask(24).answer(150).ask(110).answer(70)
    session.ask(min(size, 30_000)).answer(40).ask(6).answer(20)
    session.close(by=SERVER if rng.random() < 0.7 else CLIENT)


def tls_handshake(session: Session) -> Session:
    return session.open().ask(517).answer(2_600).ask(80)


def imaps_poll(session: Session) -> None:
    """Log in, look, leave."""
    tls_handshake(session).answer(90).ask(70).answer(60).ask(50).answer(200 + int(session.scene.rng.integers(1_500))).ask(40).answer(
        60
    ).close()


def https_request(session: Session) -> None:
    tls_handshake(session).ask(300).answer(500 + int(session.scene.rng.lognormal(8.0, 1.0))).wait(0.5).close()


def hang_up(session: Session) -> None:
    """A client that loses interest after the banner and resets, as scanners and health checks do."""
    session.open().answer(80).reset(CLIENT)


def imap_idle(session: Session) -> None:
    """Log in and wait for mail (RFC 2177); every half minute or so something arrives or is asked."""
    rng = session.scene.rng
    tls_handshake(session).answer(90).ask(70).answer(60).ask(30).answer(40)
    while session.now_s < session.scene.length_s:
        session.wait(15 + 20 * float(rng.random()))
        session.answer(80) if rng.random() < 0.7 else session.ask(40).answer(60)


def imap_sync(session: Session) -> None:
    """A mail program that reads on and on: a session with many data packets."""
    rng = session.scene.rng
    tls_handshake(session).answer(90)
    while session.now_s < session.scene.length_s:
        session.ask(60).answer(200 + int(rng.integers(600))).wait(1 + 2 * float(rng.random()))


def download(session: Session) -> None:
    """A large file: many acknowledgements without data, all of a known session."""
    tls_handshake(session).ask(300)
    for _ in range(20):
        session.answer(8 * session.mss)
    session.close()


def udp_exchange(scene: Scene, client: Endpoint, server: Endpoint, *, at_s: float, outward: bool = False) -> None:
    """A question and its answer; ``outward`` when the client is within the site, as a resolver is."""
    rng = scene.rng
    delay_s = float(rng.lognormal(-3.5, 0.6)) if outward else SITE_DELAY_S
    question, answer = 30 + int(rng.integers(30)), 60 + int(rng.integers(300))
    scene.add(Packet(round(at_s * 1e6), client, server, UDP, not outward, question))
    scene.add(Packet(round((at_s + delay_s) * 1e6), server, client, UDP, outward, answer))


def fragmented_answer(scene: Scene, client: Endpoint, server: Endpoint, *, at_s: float, size: int) -> None:
    """A question from within the site, answered by a datagram of several fragments, which may overtake each other."""
    rng = scene.rng
    scene.add(Packet(round(at_s * 1e6), client, server, UDP, inbound=False, payload=40))
    ident, datagram = int(rng.integers(2**16)), size + 8
    arrival_s = at_s + float(rng.lognormal(-3.5, 0.6))
    for offset in range(0, datagram, FRAGMENT_PAYLOAD):
        part = min(FRAGMENT_PAYLOAD, datagram - offset)
        place = Fragment(ident, offset, more=offset + part < datagram, datagram_payload=size)
        at_us = round((arrival_s + 50e-6 * rng.random()) * 1e6)
        scene.add(Packet(at_us, server, client, UDP, True, part - 8 if offset == 0 else part, fragment=place))
