"""What a window of sampled packets says of the whole: counts of packets and flags times N, and nothing that needs two packets of one flow.

With one packet in N a handshake of three is seen whole once in N^3, so completed handshakes, repeated SYNs and known sources say nothing,
and flow counts do not scale by N (Brauckhoff et al., IMC 2006). What stands in for handshakes are the pure ACKs toward the service: every
client that goes on sends at least one, and usually so many as the normals say. A spoofed crowd sends none.
"""

from math import sqrt

import msgspec

from netwatch.model.window import Normal, ServiceWindow

SURE_STEP = 4.0
"""Deviations of chance alone that count as much as one window of a flood at full strength does (``cusum_drift`` + 1) where all is seen."""

CHANCE = 1.25
"""Deviations beyond the normal that are still nobody's flood: with them as its drift, chance reaches the alarm once in days."""

FEWEST = 1.0
"""Packets a window, seen of a normal that is lower: a level of nothing has no spread, and the first packet would be a flood."""

TOLERANCE = 1.25
"""How well it is known what ACKs a handshake brings: the normals are learned from samples too, and a crowd of newcomers talks less."""


def estimated(service: ServiceWindow, one_in: int) -> ServiceWindow:
    """The window as it would have been with every packet seen, as far as handshakes go; sources, flows and entries stay as they are."""
    usual_acks = service.normal_acks.level / service.normal_syn.level if service.normal_syn.level > 0 and not service.warming else 1.0
    finished = TOLERANCE * service.acks_in / max(usual_acks, 1.0)
    usual_per_s = service.normal_syn.level * one_in
    return msgspec.structs.replace(
        service,
        syn=service.syn * one_in,
        syn_retransmitted=0,
        synack=service.synack * one_in,
        handshakes_completed=round(finished * one_in),
        resets_out=service.resets_out * one_in,
        acks_in=service.acks_in * one_in,
        packets_out=service.packets_out * one_in,
        normal_syn=Normal(usual_per_s, 0.0),
        normal_completed=Normal(TOLERANCE * usual_per_s, 0.0),
    )


def certainty(excess: float, usual: float, service: ServiceWindow, one_in: int) -> float:
    """The most that a window may add to a sum, since which packets are seen is chance.

    Args:
        excess: SYNs, estimated, that nothing explains.
        usual: SYNs that are normal in the window.
        service: the window as estimated.
        one_in: 1 packet in so many was seen.
    """
    # Chance has its part in the SYNs that are explained, and in the ACKs and resets that explain them.
    finished = float(service.handshakes_completed)
    by_acks = finished * finished / service.acks_in if service.acks_in else 0.0
    variance = max(usual, finished + by_acks + 2.0 * service.resets_out) / one_in
    return (excess / one_in / sqrt(max(variance, FEWEST)) - CHANCE) / SURE_STEP


def may_repeat(syn: int, usual: float, times: float, one_in: int) -> bool:
    """Can so many estimated SYNs be ``times`` the usual number, as when clients repeat theirs, and three deviations of chance?"""
    expected = times * usual / one_in
    return syn / one_in <= expected + 3.0 * sqrt(expected)
