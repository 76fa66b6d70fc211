"""``--report F.html``: the outcome of a replay as one page that opens offline."""

from pathlib import Path

from netwatch.errors import ReportError
from netwatch.export.figures import printable
from netwatch.model.replay import Replay


def write_report(replay: Replay, path: Path) -> None:
    """Write the page; the template engine is loaded only now, since few runs want one."""
    from netwatch.export.report.page import report_html

    page = report_html(replay)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ReportError(f"{printable(str(path))}: the report cannot be written there: {error.strerror}") from error
