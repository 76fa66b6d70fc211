"""A running netwatch: lock, journal, watch, sinks and control socket; how they begin, are reloaded, and end."""

import asyncio
import os
import resource
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from netwatch import __version__
from netwatch.config import Config, load_config, mitigation_settings
from netwatch.daemon.console import NOTICE, Console
from netwatch.daemon.control import ControlServer, Reply, Request, Wish, control_path
from netwatch.daemon.event_log import EventLog
from netwatch.daemon.notify import Notifier
from netwatch.daemon.status import Status
from netwatch.daemon.supervision import kept_running
from netwatch.daemon.watch import Watch
from netwatch.errors import NetwatchError
from netwatch.export.sink import Sink
from netwatch.export.sinks import build_sinks
from netwatch.model.change import PlanState
from netwatch.model.event import ErrorTold, Event, SelfReported
from netwatch.store.journal import Journal, journal_path
from netwatch.store.lock import Lock

PAGE_BYTES = resource.getpagesize()
KEPT_S = 90 * 86_400.0
"""What has been over for longer leaves the journal when netwatch starts."""

SINKS_END_WITHIN_S = 2.0
NEEDS_RESTART = ("site", "state_dir", "firewall")
"""What a reload cannot change: the lock, the journal and the driver belong to it."""


class Daemon:
    """One firewall's netwatch, from the lock to the last event."""

    def __init__(self, config_file: Path, *, events: Path | None = None) -> None:
        """Read the configuration.

        Raises:
            ConfigError: it is wrong.
            ReportError: the file of events cannot be written.
        """
        self._file = config_file
        self._config = load_config(config_file)
        self._log = EventLog(events) if events is not None else None
        self._console = Console()
        self._sinks: list[Sink] = []
        self._sink_tasks: list[asyncio.Task[None]] = []
        self._watch: Watch | None = None
        self._started_at_s = time.time()
        self._notifier = Notifier()

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT.

        Raises:
            NetwatchError: it cannot start; the text says why.
        """
        config, stop = self._config, asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        state_dir, firewall = Path(config.state_dir), config.firewall.name
        with Lock(state_dir, firewall), Journal.open(journal_path(state_dir, firewall), now_s=time.time()) as journal:
            with suppress(NetwatchError):  # a full disk: said when something is to be written that matters
                journal.forget(time.time() - KEPT_S)
            await self._start_sinks(config)
            control = ControlServer(control_path(state_dir, firewall), self._asked)
            try:
                if not await self._started(Watch(config, journal, self._publish), stop):
                    return
                speaking = asyncio.create_task(kept_running("control", control.run, self._publish))
                loop.add_signal_handler(signal.SIGHUP, lambda: loop.create_task(self._reload(journal)))
                self._console.say(self._greeting(), NOTICE)
                self._notifier.ready(self._greeting())
                reporting = asyncio.create_task(self._reporting())
                await stop.wait()
                self._notifier.stopping()
                speaking.cancel()
                reporting.cancel()
                await asyncio.gather(speaking, reporting, return_exceptions=True)
            finally:
                if self._watch is not None:
                    await self._watch.stop(release=True)
                await self._end_sinks()
        self._console.say("stopped; nothing of it is left on the firewall", NOTICE)

    async def _started(self, watch: Watch, stop: asyncio.Event) -> bool:
        """Start to watch, unless netwatch is to stop before it has: kernels may have to be compiled, for a minute."""
        self._watch = watch
        starting, stopped = asyncio.create_task(watch.start()), asyncio.create_task(stop.wait())
        await asyncio.wait((starting, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if starting.done():
            starting.result()
            return True
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        return False

    def _publish(self, event: Event) -> None:
        for sink in self._sinks:
            sink.offer(event)
        self._console.offer(event)

    async def _start_sinks(self, config: Config) -> None:
        self._sinks = build_sinks(config.sink, config.sink_context)
        if self._log is not None:
            self._sinks.append(self._log)
        self._sink_tasks = [asyncio.create_task(kept_running(f"sink {sink.name}", sink.run, self._publish)) for sink in self._sinks]

    async def _end_sinks(self) -> None:
        await asyncio.sleep(0)  # what was told last is taken
        for task in self._sink_tasks:
            task.cancel()
        if self._sink_tasks:
            await asyncio.wait(self._sink_tasks, timeout=SINKS_END_WITHIN_S)

    async def _reporting(self) -> None:
        """Once a second: how netwatch itself does, and a sign of life for the watchdog."""
        while True:
            await asyncio.sleep(1.0)
            watch = self._watch
            if watch is None:
                continue
            if watch.is_alive:
                self._notifier.alive()
            used = resource.getrusage(resource.RUSAGE_SELF)
            stages = (*watch.stages(), *(sink.report() for sink in self._sinks))
            self._publish(
                SelfReported(
                    time_s=time.time(),
                    stages=stages,
                    detection_delay_s=watch.delay_s,
                    mitigations=watch.mitigator.life.in_force,
                    mitigation_ends_s=dict(watch.mitigator.ends_s),
                    cpu_s=used.ru_utime + used.ru_stime,
                    memory_bytes=_resident_bytes(),
                )
            )

    async def _reload(self, journal: Journal) -> None:
        """Take what has changed of the configuration; a file that is wrong leaves everything as it is."""
        try:
            wanted = load_config(self._file)
            for name in NEEDS_RESTART:
                if getattr(wanted, name) != getattr(self._config, name):
                    self._told("config", f"not reloaded: {name} is another now, which needs a restart")
                    return
            await self._change_over(wanted, journal)
        except NetwatchError as error:
            self._told("config", f"not reloaded, netwatch goes on as before: {error}")
            return
        self._told("config", f"reloaded: {self._greeting()}", over=True)

    async def _change_over(self, wanted: Config, journal: Journal) -> None:
        before, self._config = self._config, wanted
        try:
            if (wanted.sink, wanted.alerts) != (before.sink, before.alerts):
                build_sinks(wanted.sink, wanted.sink_context)  # those of now are not ended before it is known that the others can be made
                await self._end_sinks()
                await self._start_sinks(wanted)
            if _without_sinks(wanted) != _without_sinks(before) and self._watch is not None:
                await self._change_watch(self._watch, Watch(wanted, journal, self._publish), Watch(before, journal, self._publish))
        except BaseException:
            self._config = before
            raise

    async def _change_watch(self, now: Watch, wanted: Watch, otherwise: Watch) -> None:
        """What is in force is adopted by the successor; if that cannot start, one by the configuration of before goes on."""
        now.end_incidents()
        await now.stop(release=False)
        self._watch = wanted
        try:
            await wanted.start()
        except NetwatchError:
            self._watch = otherwise
            await otherwise.start()
            raise

    async def _asked(self, request: Request) -> Reply:
        watch = self._watch
        if watch is None:
            return Reply(ok=False, text="netwatch is about to stop")
        match request.wish:
            case Wish.APPROVE:
                answer = watch.mitigator.approve(request.plan_id or "", request.by)
            case Wish.DECLINE:
                answer = watch.mitigator.decline(request.plan_id or "", request.by)
            case Wish.UNDO:
                answer = watch.mitigator.undo(request.plan_id, request.by)
            case Wish.STATUS:
                return Reply(ok=True, text=self._greeting(), status=self._status(watch))
        return Reply(ok=answer.ok, text=answer.text)

    def _status(self, watch: Watch) -> Status:
        plans, in_force = watch.mitigator.life.plans, watch.mitigator.life.in_force
        return Status(
            version=__version__,
            pid=os.getpid(),
            site=self._config.site,
            firewall=self._config.firewall.name,
            driver=self._config.firewall.driver,
            mode=watch.mitigator.mode,
            started_at_s=self._started_at_s,
            incidents=watch.incidents,
            waiting=tuple(plan for plan in plans if plan.state in (PlanState.PROPOSED, PlanState.APPROVED)),
            in_force=in_force,
            ends_s=dict(watch.mitigator.ends_s),
            stages=(*watch.stages(), *(sink.report() for sink in self._sinks)),
            unseen=watch.unseen,
        )

    def _greeting(self) -> str:
        config = self._config
        links = ", ".join(entry.interface for entry in config.capture)
        services = ", ".join(entry.label for entry in config.services) or "those that it finds in the traffic"
        settings = mitigation_settings(config)
        does = f"mode {settings.mode}" + (", driver dry-run" if settings.dry_run else "")
        return f"netwatch {__version__} watches {links} of {config.firewall.name}; services: {services}; {does}"

    def _told(self, part: str, text: str, *, over: bool = False) -> None:
        self._publish(ErrorTold(time_s=time.time(), part=part, text=text, over=over))


def _without_sinks(config: Config) -> Sequence[object]:
    return [getattr(config, name) for name in config.__struct_fields__ if name not in ("sink", "alerts")]


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES
