"""The boards: tables of panels, one file each."""

from typing import Final

from netwatch.export.grafana.boards.exporters import EXPORTERS
from netwatch.export.grafana.boards.firewall import FIREWALL_BOARD
from netwatch.export.grafana.boards.incident import INCIDENT
from netwatch.export.grafana.boards.itself import ITSELF
from netwatch.export.grafana.boards.overview import OVERVIEW
from netwatch.export.grafana.boards.service import SERVICE_BOARD

BOARDS: Final = (OVERVIEW, FIREWALL_BOARD, SERVICE_BOARD, INCIDENT, EXPORTERS, ITSELF)
