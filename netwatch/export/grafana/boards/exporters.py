"""Flow exporters: routers and probes that send flow records to netwatch. All of it is live."""

from typing import Final

from netwatch.export.grafana.panel import Board, Kind, Limits, Meaning, Panel
from netwatch.export.grafana.query import EXPORTER, Over, Query
from netwatch.export.metrics.measurements import DropPoint, ExporterPoint

EXPORTERS: Final = Board(
    "netwatch-exporters",
    "netwatch / Flow exporters",
    "Sources of flow records: do they send, can netwatch read it, what is lost on the way.",
    marked=False,
    rows=(
        (
            "Exporters",
            (
                Panel(
                    "Health",
                    "Whether each exporter sends what can be read. Live only.",
                    queries=(Query(ExporterPoint, "healthy", over=Over.MIN, per=EXPORTER),),
                    kind=Kind.TIMELINE,
                    meaning=Meaning.HEALTH,
                    width=24,
                ),
                Panel(
                    "Records taken",
                    "Flow records per second that arrived. Live only.",
                    queries=(Query(ExporterPoint, "records_total", over=Over.RATE, per=EXPORTER),),
                ),
                Panel(
                    "Records decoded",
                    "Flow records per second that became flows. Live only.",
                    queries=(Query(ExporterPoint, "decoded_total", over=Over.RATE, per=EXPORTER),),
                ),
                Panel(
                    "Records lost or refused",
                    "By gaps in sequence numbers, unknown templates, or what could not be decoded. Live only.",
                    queries=(Query(ExporterPoint, "dropped_total", over=Over.RATE, per=EXPORTER),),
                    limits=Limits(1, 100),
                ),
                Panel(
                    "Lost or refused, by reason",
                    "The same by exporter and reason. Live only.",
                    queries=(
                        Query(
                            DropPoint,
                            "dropped_total",
                            over=Over.RATE,
                            per=("site", "firewall", "stage", "reason"),
                            where={"stage": "exporter .*"},
                        ),
                    ),
                    limits=Limits(1, 100),
                ),
            ),
        ),
    ),
)
