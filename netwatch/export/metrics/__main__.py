"""``python -m netwatch.export.metrics > docs/metrics.md``: the page of all measurements, made from their table."""

import sys

from netwatch.export.metrics.page import metrics_page

sys.stdout.write(metrics_page())
