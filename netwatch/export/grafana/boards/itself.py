"""netwatch itself: does it see everything, in time, and does what it tells arrive."""

from typing import Final

from netwatch.export.grafana.panel import Board, Kind, Limits, Meaning, Panel
from netwatch.export.grafana.query import STAGE, Over, Query
from netwatch.export.metrics.measurements import DropPoint, FirewallPoint, SelfPoint

WHOLE = {"stage": "netwatch"}

ITSELF: Final = Board(
    "netwatch-itself",
    "netwatch / netwatch itself",
    "A watcher that does not see must not go unnoticed: its parts, its losses, its delay, its sinks.",
    marked=False,
    rows=(
        (
            "Does it see",
            (
                Panel(
                    "Health of its parts",
                    "Captures, the state table, sinks; `netwatch` is all of them together. Live only.",
                    queries=(Query(SelfPoint, "healthy", over=Over.MIN, per=STAGE),),
                    kind=Kind.TIMELINE,
                    meaning=Meaning.HEALTH,
                    width=24,
                ),
                Panel(
                    "Packets lost by netwatch",
                    "Of all packets, those that it did not see. Its counts are too low by them.",
                    queries=(Query(FirewallPoint, "lost_packets_per_s", beside="packets_per_s"),),
                    limits=Limits(0.001, 0.01),
                ),
                Panel(
                    "Age of the newest window",
                    "Seconds since a window was closed. Above 10 it is blind. Live only.",
                    queries=(Query(SelfPoint, "window_age_s", over=Over.MAX, where=WHOLE),),
                    limits=Limits(3, 10),
                ),
                Panel(
                    "Delay of detection",
                    "From the end of a window, by the packets' clock, to its judgement. Live only.",
                    queries=(Query(SelfPoint, "detection_delay_s", over=Over.MAX, where=WHOLE),),
                    limits=Limits(1, 2),
                ),
                Panel(
                    "One packet in",
                    "Of how many packets one is looked at; counts are multiplied by it.",
                    queries=(Query(FirewallPoint, "sampled_one_in", over=Over.MAX),),
                ),
                Panel(
                    "Services watched and left out",
                    "Left out: learned, but too many to be written here.",
                    queries=(
                        Query(FirewallPoint, "services", over=Over.MAX, name="watched"),
                        Query(FirewallPoint, "services_left_out", over=Over.MAX, name="left out"),
                    ),
                ),
                Panel(
                    "Warming up",
                    "Whether the normals mean something already; they do not for the first minutes.",
                    queries=(Query(FirewallPoint, "warming", over=Over.MAX),),
                    kind=Kind.TIMELINE,
                    meaning=Meaning.LEARNING,
                ),
            ),
        ),
        (
            "Its parts",
            (
                Panel(
                    "Taken",
                    "Packets, polls, windows or points per second that each part took. Live only.",
                    queries=(Query(SelfPoint, "taken_total", over=Over.RATE, per=STAGE),),
                ),
                Panel(
                    "Given",
                    "What each part handed on; of a sink: what the server acknowledged. Live only.",
                    queries=(Query(SelfPoint, "given_total", over=Over.RATE, per=STAGE),),
                ),
                Panel(
                    "Dropped, by part and reason",
                    "What will never be seen or never arrive. Live only.",
                    queries=(Query(DropPoint, "dropped_total", over=Over.RATE, per=("site", "firewall", "stage", "reason")),),
                    limits=Limits(1, 100),
                    none_text="nothing dropped",
                ),
                Panel(
                    "Waiting",
                    "Items that wait in each part; of a sink: in its queue and on its disk. Live only.",
                    queries=(Query(SelfPoint, "queued", over=Over.MAX, per=STAGE),),
                ),
                Panel(
                    "Restarts",
                    "Parts that were started again after trouble, per second. Live only.",
                    queries=(Query(SelfPoint, "restarts_total", over=Over.RATE, per=STAGE),),
                    limits=Limits(0.01, 0.1),
                ),
                Panel(
                    "Processor time",
                    "Seconds of processor time per second: 100 % is one processor. Live only.",
                    queries=(Query(SelfPoint, "cpu_seconds_total", over=Over.RATE, where=WHOLE),),
                    limits=Limits(0.8, 0.95),
                ),
                Panel(
                    "Memory",
                    "Of the process. Live only.",
                    queries=(Query(SelfPoint, "memory_bytes", over=Over.MAX, where=WHOLE),),
                ),
            ),
        ),
    ),
)
