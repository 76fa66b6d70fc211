"""What attackers send: each function is one kind of packets, at one rate, between two moments."""

from captures.generator.dialogues import FRAGMENT_PAYLOAD, imap_sync
from captures.generator.mail_site import Source, hold
from captures.generator.people import People
from captures.generator.scene import Scene, endpoint
from captures.generator.session import CLIENT, SERVER, Session
from captures.generator.wire import ACK, RST, UDP, Endpoint, Fragment, Packet

BACKSCATTER_RATIO = 0.04
"""Of spoofed addresses, those whose owner is there and resets the SYN-ACK it never asked for."""


def syn_flood(scene: Scene, sources: Source, server: Endpoint, *, per_s: float, start_s: float, end_s: float) -> None:
    """Handshakes that are never finished; the server answers with SYN cookies, once."""
    for at_s in scene.arrivals(per_s, start_s, end_s):
        session = Session(scene, sources.pick(scene.rng), server, at_s=at_s).half_open()
        if scene.rng.random() < BACKSCATTER_RATIO:
            session.reset(CLIENT)


def ack_flood(scene: Scene, sources: Source, server: Endpoint, *, per_s: float, start_s: float, end_s: float) -> None:
    """Acknowledgements of nothing; the server's own filter keeps it from answering with resets."""
    for at_s in scene.arrivals(per_s, start_s, end_s):
        Session(scene, sources.pick(scene.rng), server, at_s=at_s).forged(ACK, at_s=at_s)


def rst_flood(scene: Scene, people: Source, server: Endpoint, *, victims: int, per_s: float, start_s: float, end_s: float) -> None:
    """Guessed resets on long sessions whose ends are known; one that lies in the window ends each, and the client comes back."""
    for _ in range(victims):
        session = Session(scene, people.pick(scene.rng), server, at_s=float(scene.rng.uniform(-6, 0.7 * start_s)))
        killed_s = float(scene.rng.uniform(start_s + 1, end_s))
        for at_s in scene.arrivals(per_s / victims, start_s, end_s):
            session.forged(RST, at_s=at_s)
        session.open().ask(517).answer(2_600).ask(80)
        while session.now_s < killed_s:
            session.ask(60).answer(300).wait(0.5 + 1.5 * float(scene.rng.random()))
        session.reset(CLIENT).wait(0.5)  # forged, in the window: the server forgets the session, the client does not know
        try_again(scene, session)


def try_again(scene: Scene, session: Session) -> None:
    """The client asks on; the server, which knows of nothing, resets; the client opens a new session."""
    session.ask(60).reset(SERVER)
    hold(scene, imap_sync, session.ends[CLIENT].address, session.server, at_s=session.now_s + 1.0)


def udp_flood(scene: Scene, sources: Source, server: Endpoint, *, per_s: float, start_s: float, end_s: float) -> None:
    """Questions from a new address and port each, which the overloaded server does not answer."""
    for at_s in scene.arrivals(per_s, start_s, end_s):
        address = sources.pick(scene.rng)
        source = Endpoint(address, scene.ephemeral_port(address))
        scene.add(Packet(round(at_s * 1e6), source, server, UDP, True, 40 + int(scene.rng.integers(25))))


def fragment_flood(scene: Scene, sources: Source, server: Endpoint, *, per_s: float, start_s: float, end_s: float) -> None:
    """First fragments of datagrams whose rest never comes: each is held until its time is up."""
    for at_s in scene.arrivals(per_s, start_s, end_s):
        address = sources.pick(scene.rng)
        source = Endpoint(address, scene.ephemeral_port(address))
        place = Fragment(int(scene.rng.integers(2**16)), 0, more=True, datagram_payload=4_000)
        scene.add(Packet(round(at_s * 1e6), source, server, UDP, True, FRAGMENT_PAYLOAD - 8, fragment=place))


def scan_of_dead_hosts(scene: Scene, sources: Source, *, growing_to: float, start_s: float, end_s: float) -> None:
    """Many hosts knock at addresses of the site where nobody is: each SYN holds an entry for two minutes."""
    for at_s in scene.arrivals(0.0, start_s, end_s, growing_to=growing_to):
        nobody = endpoint(f"203.0.113.{int(scene.rng.integers(120, 250))}", int(scene.rng.choice([22, 23, 80, 443, 3389, 5060, 8080])))
        Session(scene, sources.pick(scene.rng), nobody, at_s=at_s).knock(tries=1)


def port_scan(scene: Scene, scanner: People, address: str, *, per_s: float, start_s: float, end_s: float) -> None:
    """One host tries the ports of another, one after the other; nearly all are closed."""
    for port, at_s in enumerate(scene.arrivals(per_s, start_s, end_s), start=1):
        session = Session(scene, scanner.hosts[0][0], endpoint(address, port), at_s=at_s)
        if port == 25:
            session.half_open().reset(CLIENT)
        else:
            session.refused()
