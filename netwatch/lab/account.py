"""The account of a drill for people at a terminal: what it cost, what happened when, and the state table second by second."""

from collections.abc import Iterable

from netwatch.lab.outcome import Outcome, Phase, Second, Success

BAR = 20
"""Characters of a full table."""


def account(outcome: Outcome, *, also: Iterable[str] = ()) -> str:
    """The outcome as text; ``also`` are lines about what protected."""
    return "\n".join(_lines(outcome, also)) + "\n"


def _lines(outcome: Outcome, also: Iterable[str]) -> Iterable[str]:
    yield f"{outcome.scenario}, {'protected' if outcome.protected else 'unprotected'}"
    yield f"  impact   {_impact(outcome)}"
    for phase in Phase:
        yield f"  {phase:<8} {_success(outcome.success[phase])}"
    yield f"  table    at most {outcome.peak_entries:,} of {outcome.limit:,} entries"
    for sent in outcome.sent:
        yield f"  attack   {sent.packets:,} packets in {sent.seconds:.1f} s, {sent.per_s:,.0f}/s"
    yield from also
    yield ""
    for moment in outcome.timeline:
        yield f"  {moment.at_s:+7.1f} s  {moment.text}"
    yield ""
    yield "  second  clients  canary  entries  no room/s  evicted/s"
    for second in outcome.seconds:
        yield _row(second, outcome.limit)


def _impact(outcome: Outcome) -> str:
    if outcome.first_failed_at_s is None:
        return "none: no canary failed"
    going_on = "" if outcome.impact_over else ", and still going on at the end"
    return f"{outcome.impact_s:.1f} s from the first failed canary to the last{going_on}"


def _success(success: Success) -> str:
    return f"{success.share:6.1%} of {success.tried:,} attempts succeeded"


def _row(second: Second, limit: int) -> str:
    filled = "#" * min(BAR, round(BAR * second.entries / limit))
    return (
        f"  {second.at_s:+6d}  {second.clients.share:7.0%}  {second.canary.share:6.0%}  {second.entries:7,}  "
        f"{second.dropped:9,}  {second.early_dropped:9,}  {filled}"
    ).rstrip()
