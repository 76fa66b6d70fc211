"""Every capture of every scenario, by its name ``<mode>/<capture>``: normal life, and one thing that happens in it.

The trouble starts at 30 s unless the capture is a long one. ``expected.json`` beside the captures says what a replay must find.
"""

import zlib
from collections.abc import Callable

from captures.generator import breakdowns, dialogues, floods, pileups
from captures.generator.mail_site import (
    DNS,
    HTTPS,
    IMAPS,
    NAME_SERVERS,
    RESOLVER,
    SENDERS,
    SMTP,
    SMTP6,
    SUBSCRIBERS,
    ask_the_world,
    crowd,
    normal_life,
)
from captures.generator.people import People, Spoofed
from captures.generator.scene import Scene
from captures.generator.wire import Endpoint

ATTACKER = People("192.0.2.0/24", hosts=250)
ATTACKER6 = "2001:db8:bad::/48"
BOTNET = Spoofed()
MOVED_PREFIX = "198.18.0.0/22"  # about a third of the senders
NEW_SENDERS = People(*(f"198.18.{number}.0/24" for number in range(130, 150)))

SCENARIOS: dict[str, Callable[[], bytes]] = {}


def capture(name: str, *, length_s: float) -> Callable[[Callable[[Scene], None]], Callable[[Scene], None]]:
    """Register a function that fills a scene; the seed is made from the name, so that no capture changes with another."""

    def register(fill: Callable[[Scene], None]) -> Callable[[Scene], None]:
        def generate() -> bytes:
            scene = Scene(zlib.crc32(name.encode()), length_s=length_s)
            fill(scene)
            return scene.pcap()

        SCENARIOS[name] = generate
        return fill

    return register


# table-full: nothing but growth, of everything at once


@capture("table-full/attack", length_s=80)
def growth_of_everything(scene: Scene) -> None:
    normal_life(scene, level=0.5)
    crowd(scene, dialogues.smtp_delivery, SENDERS, SMTP, per_s=0.1, growing_to=10, start_s=30)
    floods.scan_of_dead_hosts(scene, BOTNET, growing_to=90, start_s=30, end_s=80)


@capture("table-full/benign", length_s=85)
def growth_to_a_plateau(scene: Scene) -> None:
    normal_life(scene, level=0.5)
    crowd(scene, dialogues.smtp_delivery, SENDERS, SMTP, per_s=0.1, growing_to=5, start_s=30, end_s=50)
    crowd(scene, dialogues.smtp_delivery, SENDERS, SMTP, per_s=5, start_s=50)


@capture("table-full/benign-scan", length_s=60)
def one_host_scans_ports(scene: Scene) -> None:
    normal_life(scene, level=0.55)
    floods.port_scan(scene, ATTACKER, "203.0.113.25", per_s=40, start_s=30, end_s=50)


# syn-flood


@capture("syn-flood/attack", length_s=50)
def spoofed_syns(scene: Scene) -> None:
    normal_life(scene, level=0.55)
    floods.syn_flood(scene, BOTNET, SMTP, per_s=300, start_s=30, end_s=42)


@capture("syn-flood/attack-slow", length_s=60)
def spoofed_syns_that_just_fill_the_table(scene: Scene) -> None:
    normal_life(scene, level=0.55)
    floods.syn_flood(scene, BOTNET, SMTP, per_s=80, start_s=30, end_s=56)


@capture("syn-flood/attack-prefix", length_s=50)
def syns_of_one_prefix(scene: Scene) -> None:
    normal_life(scene, level=0.55)
    floods.syn_flood(scene, ATTACKER, SMTP, per_s=300, start_s=30, end_s=42)


@capture("syn-flood/attack-ipv6", length_s=50)
def syns_of_one_ipv6_prefix(scene: Scene) -> None:
    normal_life(scene, level=0.55)
    floods.syn_flood(scene, Spoofed(ATTACKER6), SMTP6, per_s=200, start_s=30, end_s=42)


@capture("syn-flood/benign", length_s=50)
def flash_crowd(scene: Scene) -> None:
    normal_life(scene, level=0.6)
    crowd(scene, dialogues.smtp_delivery, SENDERS, SMTP, per_s=12, start_s=30, end_s=45)


# established-creep


@capture("established-creep/attack", length_s=55)
def peers_of_one_prefix_vanish(scene: Scene) -> None:
    normal_life(scene, level=0.55)
    pileups.vanishing_peers(scene, ATTACKER, IMAPS, per_s=140, start_s=30, end_s=48)


@capture("established-creep/attack-leak", length_s=380)
def an_app_forgets_to_close(scene: Scene) -> None:
    normal_life(scene, level=0.05)
    crowd(scene, pileups.app_request(leaks_from_s=90), SUBSCRIBERS, HTTPS, per_s=3)


@capture("established-creep/benign", length_s=120)
def mailboxes_wait_for_mail(scene: Scene) -> None:
    normal_life(scene, level=0.3)
    crowd(scene, dialogues.imap_idle, SUBSCRIBERS, IMAPS, per_s=0.1, growing_to=8, end_s=70)


@capture("established-creep/benign-app", length_s=240)
def an_app_that_closes(scene: Scene) -> None:
    normal_life(scene, level=0.05)
    crowd(scene, pileups.app_request(leaks_from_s=None), SUBSCRIBERS, HTTPS, per_s=3)


# time-wait-pileup


@capture("time-wait-pileup/attack", length_s=56)
def one_connection_a_mail(scene: Scene) -> None:
    normal_life(scene, level=0.5)
    crowd(scene, pileups.one_mail_one_connection, SENDERS, SMTP, per_s=48, start_s=30, end_s=55)


@capture("time-wait-pileup/benign", length_s=60)
def many_sessions_close_at_once(scene: Scene) -> None:
    normal_life(scene, level=0.5)
    pileups.mass_close(scene, SUBSCRIBERS, IMAPS, sessions=350, start_s=33, end_s=36)


# udp-state-flood


@capture("udp-state-flood/attack", length_s=50)
def unanswered_questions(scene: Scene) -> None:
    normal_life(scene, level=0.55)
    floods.udp_flood(scene, BOTNET, DNS, per_s=400, start_s=30, end_s=45)


@capture("udp-state-flood/benign", length_s=55)
def busy_resolver(scene: Scene) -> None:
    normal_life(scene, level=0.55)
    for at_s in scene.arrivals(60, 30, 50):
        ask_the_world(scene, at_s)


# ack-flood and rst-flood


@capture("ack-flood/attack", length_s=50)
def acks_of_nothing(scene: Scene) -> None:
    normal_life(scene, level=0.55)
    floods.ack_flood(scene, BOTNET, SMTP, per_s=350, start_s=30, end_s=45)


@capture("ack-flood/benign", length_s=50)
def downloads(scene: Scene) -> None:
    normal_life(scene, level=0.5)
    crowd(scene, dialogues.download, SUBSCRIBERS, HTTPS, per_s=3, start_s=30, end_s=45)


@capture("rst-flood/attack", length_s=60)
def guessed_resets(scene: Scene) -> None:
    normal_life(scene, level=0.3)
    floods.rst_flood(scene, SUBSCRIBERS, IMAPS, victims=90, per_s=160, start_s=30, end_s=50)


@capture("rst-flood/benign", length_s=60)
def server_restart(scene: Scene) -> None:
    scene.outage(IMAPS, 35.0, 36.2, restart=True)
    normal_life(scene, level=0.4)
    crowd(scene, dialogues.imap_sync, SUBSCRIBERS, IMAPS, per_s=4, end_s=20)
    crowd(scene, dialogues.imap_sync, SUBSCRIBERS, IMAPS, per_s=40, start_s=36.3, end_s=38.5)


# asymmetric-routing


@capture("asymmetric-routing/attack", length_s=60)
def the_way_back_moves(scene: Scene) -> None:
    scene.hide(breakdowns.between(MOVED_PREFIX, outbound_from_s=30))
    normal_life(scene)


@capture("asymmetric-routing/benign", length_s=60)
def one_way_from_the_start(scene: Scene) -> None:
    scene.hide(breakdowns.between(MOVED_PREFIX, outbound_from_s=0))
    normal_life(scene)


# idle-timeout-blackhole: something on the path forgets sessions after 350 s


@capture("idle-timeout-blackhole/attack", length_s=880)
def sessions_forgotten_after_350_s(scene: Scene) -> None:
    normal_life(scene, level=0.05)
    breakdowns.idle_sessions(scene, IMAPS, per_s=0.12, gap_s=(130, 290), answered=True)
    breakdowns.idle_sessions(scene, IMAPS, per_s=0.07, gap_s=(305, 345), answered=True)
    breakdowns.idle_sessions(scene, IMAPS, per_s=0.2, gap_s=(352, 590), answered=False)


@capture("idle-timeout-blackhole/benign", length_s=880)
def keepalives(scene: Scene) -> None:
    normal_life(scene, level=0.05)
    breakdowns.idle_sessions(scene, IMAPS, per_s=0.12, gap_s=(130, 290), answered=True)
    breakdowns.kept_alive_sessions(scene, IMAPS, per_s=0.2, gap_s=(352, 590), probe_s=60)


@capture("idle-timeout-blackhole/benign-mobile", length_s=880)
def mobile_clients_move_on(scene: Scene) -> None:
    """One in six is unreachable after any rest, however short."""
    normal_life(scene, level=0.05)
    for gap_s in ((130.0, 290.0), (305.0, 590.0)):
        breakdowns.idle_sessions(scene, IMAPS, per_s=0.15, gap_s=gap_s, answered=True)
        breakdowns.idle_sessions(scene, IMAPS, per_s=0.03, gap_s=gap_s, answered=False)


# fragment-exhaustion


@capture("fragment-exhaustion/attack", length_s=50)
def first_fragments_only(scene: Scene) -> None:
    normal_life(scene, level=0.55)
    floods.fragment_flood(scene, BOTNET, DNS, per_s=400, start_s=30, end_s=45)


@capture("fragment-exhaustion/benign", length_s=50)
def large_answers(scene: Scene) -> None:
    normal_life(scene, level=0.55)
    for at_s in scene.arrivals(25, 30, 45):
        client = Endpoint(RESOLVER, scene.ephemeral_port(RESOLVER))
        server = Endpoint(NAME_SERVERS.pick(scene.rng), 53)
        dialogues.fragmented_answer(scene, client, server, at_s=at_s, size=int(scene.rng.integers(1_700, 4_000)))


# retry-storm and service-silent


@capture("retry-storm/attack", length_s=85)
def all_come_back_at_once(scene: Scene) -> None:
    breakdowns.senders_with_queues(scene, per_s=5, outage_s=(30.0, 52.0), returning_per_s=15, storm_s=20)
    normal_life(scene, level=0.4, smtp_per_s=0.1)


@capture("retry-storm/benign", length_s=60)
def campaign_of_new_senders(scene: Scene) -> None:
    normal_life(scene, level=0.6)
    crowd(scene, dialogues.smtp_delivery, NEW_SENDERS, SMTP, per_s=10, start_s=30, end_s=50)


@capture("service-silent/attack", length_s=65)
def server_stops_answering(scene: Scene) -> None:
    scene.outage(SMTP, 30.0, 55.0)
    normal_life(scene)


@capture("service-silent/benign", length_s=60)
def nobody_asks(scene: Scene) -> None:
    """A quiet night: after 30 s fewer and fewer come, and nobody is turned away."""
    normal_life(scene, level=0.1)
    crowd(scene, dialogues.smtp_delivery, SENDERS, SMTP, per_s=8, start_s=-6, end_s=30)
    crowd(scene, dialogues.imaps_poll, SUBSCRIBERS, IMAPS, per_s=2, start_s=-6, end_s=30)


@capture("service-silent/benign-restart", length_s=60)
def short_restart(scene: Scene) -> None:
    scene.outage(SMTP, 35.0, 36.5, restart=True)
    normal_life(scene, level=0.55)
