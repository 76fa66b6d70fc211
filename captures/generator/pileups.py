"""What piles up in the table without a flood: sessions that nobody ends, and sessions that end too often."""

from collections.abc import Callable

from captures.generator.dialogues import tls_handshake
from captures.generator.mail_site import Source, crowd
from captures.generator.scene import Scene
from captures.generator.session import SERVER, Session
from captures.generator.wire import Endpoint


def connect_and_vanish(session: Session) -> None:
    """A finished handshake, and then nothing, not even a FIN: five days in the table."""
    session.open()


def one_mail_one_connection(session: Session) -> None:
    """The shortest session there is; after its close it stays in the table for two minutes."""
    session.open().answer(80).ask(6).answer(20).close(by=SERVER)


def app_request(*, leaks_from_s: float | None) -> Callable[[Session], None]:
    """An app's request; from some moment on its sessions are forgotten instead of closed."""

    def dialogue(session: Session) -> None:
        started_s = session.now_s
        tls_handshake(session).ask(300).answer(1_200).wait(1.0)
        if leaks_from_s is None or started_s < leaks_from_s:
            session.close()

    return dialogue


def vanishing_peers(scene: Scene, people: Source, server: Endpoint, *, per_s: float, start_s: float, end_s: float) -> None:
    crowd(scene, connect_and_vanish, people, server, per_s=per_s, start_s=start_s, end_s=end_s)


def mass_close(scene: Scene, people: Source, server: Endpoint, *, sessions: int, start_s: float, end_s: float) -> None:
    """Sessions from before the capture that all end within moments, as when a server is taken out of service in good order."""
    for _ in range(sessions):
        session = tls_handshake(Session(scene, people.pick(scene.rng), server, at_s=float(scene.rng.uniform(-6, -1))))
        session.wait(float(scene.rng.uniform(0.5, 5))).answer(80).wait(float(scene.rng.uniform(8, 15))).ask(40).answer(60)
        session.wait(float(scene.rng.uniform(start_s, end_s)) - session.now_s).close(by=SERVER)
