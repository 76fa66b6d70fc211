"""What watches one firewall by one configuration: engine, observer, canaries and mitigations, and what passes between them."""

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from netwatch.collect.tap import LinkNews, LinkState
from netwatch.config import Config, ladders, mitigation_settings
from netwatch.daemon import parts
from netwatch.daemon.engine import Engine, Failed, Judged, Told
from netwatch.daemon.mitigator import Mitigator
from netwatch.daemon.observer import Observer
from netwatch.daemon.recorder import Recorder
from netwatch.daemon.supervision import kept_running
from netwatch.daemon.warm_up import warm_up
from netwatch.decode.ctnetlink import EntryDecoder
from netwatch.enforce.driver import Driver
from netwatch.enforce.dry_run import DryRun
from netwatch.enforce.nftables import open_nftables
from netwatch.mitigate.ladder import recommend_rung
from netwatch.model.canary import CanaryResult
from netwatch.model.event import ErrorTold, Event, FindingMade, IncidentTold, StageReport, WindowClosed
from netwatch.model.incident import Incident
from netwatch.model.service import Service
from netwatch.store.journal import Journal

TICK_S = 1.0
ENGINE_SILENT_S = 5.0
"""An engine that has not finished a round for so long is stuck: a watchdog had better start netwatch again."""


class Watch:
    """One firewall while it is watched. All methods belong to the event loop's thread."""

    def __init__(self, config: Config, journal: Journal, publish: Callable[[Event], None]) -> None:
        """Check what can be checked before anything is opened.

        Raises:
            ConfigError: the configuration cannot work.
            FirewallUnreachableError: there is no connection tracking here.
        """
        self.config = config
        self.delay_s = 0.0
        """From the end of the newest window to its judgement."""
        self._publish = publish
        self._loop = asyncio.get_running_loop()
        self._settings = parts.engine_settings(config)
        self._ladders = ladders(config)
        namespace = config.firewall.namespace
        self.engine = Engine(self._settings, parts.interfaces(config), tell=self._from_thread(self._take), namespace=namespace)
        self.observer = Observer(
            self.engine,
            namespace=namespace,
            poll_s=config.conntrack.poll_s,
            survey_s=config.conntrack.survey_s,
            tell=self._from_thread(publish),
        )
        self.recorder = Recorder(journal, publish)
        self.mitigator = Mitigator(
            mitigation_settings(config),
            self._ladders,
            open_driver=self._open_driver,
            recorder=self.recorder,
            engine=self.engine,
            publish=publish,
            on_flush=config.mitigate.on_flush,
        )
        self._canaries = parts.canaries(config, self._probed)
        self._probes: list[CanaryResult] = []  # ended since the last window
        self._answered: dict[str, list[int]] = {}  # by service: attempts, and those that came about
        self._open: dict[str, Incident] = {}
        self._unseen = {service.label: service for service in config.services}
        self._tasks: list[asyncio.Task[None]] = []
        self._ending = False

    async def start(self) -> None:
        """Begin to watch.

        Raises:
            CaptureError: an interface cannot be captured.
            EnforceError: the firewall cannot be changed as the mode wants.
        """
        await asyncio.to_thread(warm_up, self._settings)
        try:
            await self.mitigator.start()
            self.engine.start()
        except BaseException:
            await self.mitigator.stop(release=True)
            raise
        if self.config.firewall.profile == parts.OURS:  # the table of this kernel is the firewall's
            self.observer.start()
        self._tasks = [asyncio.create_task(self._ticking(), name="ticks")]
        for name, canary in self._canaries.items():
            self._tasks.append(asyncio.create_task(kept_running(f"canary {name}", canary.run, self._publish), name=f"canary {name}"))

    async def stop(self, *, release: bool) -> None:
        """End; with ``release`` nothing of netwatch is left on the firewall. The engine works on until the mitigator has let go."""
        self._ending = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.mitigator.stop(release=release)
        self.recorder.close()
        self.observer.stop()
        await asyncio.to_thread(self.engine.stop)

    @property
    def is_alive(self) -> bool:
        """The engine has finished a round lately."""
        return time.monotonic() - self.engine.alive_s < ENGINE_SILENT_S

    @property
    def incidents(self) -> tuple[Incident, ...]:
        """Those that last."""
        return tuple(self._open.values())

    @property
    def unseen(self) -> tuple[Service, ...]:
        """Configured services of which no packet has been seen."""
        return tuple(self._unseen.values())

    def stages(self) -> tuple[StageReport, ...]:
        """How each part does."""
        engine, errors = self.engine, self.engine.decoder.errors
        captured = engine.interfaces
        away = "; ".join(f"{one.interface}: {one.problem}" for one in captured if one.problem)
        packets, lost = sum(one.packets for one in captured), engine.lost
        traffic = engine.decoder.traffic.packets
        reports = [
            StageReport(stage="capture", taken=packets, given=packets - lost, dropped=_counted(ring=lost), healthy=not away, problem=away),
            StageReport(stage="decode", taken=traffic, given=traffic - sum(errors.values()), dropped=errors),
            StageReport(stage="detect", taken=engine.windows, given=engine.windows, restarts=engine.restarts, healthy=self.is_alive),
        ]
        for worker in (self.observer.poller, self.observer.surveyor):
            done, failed = worker.done, worker.failed
            reports.append(
                StageReport(
                    stage=worker.part,
                    taken=done + failed,
                    given=done,
                    dropped=_counted(failed=failed),
                    healthy=not worker.problem,
                    problem=worker.problem,
                )
            )
        for name, canary in self._canaries.items():
            tried, ok = self._answered.get(name, [0, 0])
            reports.append(
                StageReport(stage=f"canary {name}", taken=tried, given=ok, dropped=_counted(failed=tried - ok, left_out=canary.left_out))
            )
        return (*reports, self.recorder.report())

    def _open_driver(self) -> Driver:
        """Called in the driver's thread, which nftables' handle belongs to."""
        config, base = self.config, parts.base_table()
        if config.firewall.driver == "dry-run":
            return DryRun(base, stream=sys.stderr, clock=time.time, never_block=config.mitigate.never_block)
        return open_nftables(
            base,
            decoder=EntryDecoder(hash_seed=self.engine.seed),
            state_folder=Path(config.state_dir),
            namespace=config.firewall.namespace,
            never_block=config.mitigate.never_block,
        )

    def _from_thread(self, call: Callable[..., None]) -> Callable[..., None]:
        """The same call, from any thread, made in the event loop's."""

        def later(*what: object) -> None:
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(call, *what)

        return later

    def _take(self, told: Told) -> None:
        if self._ending:
            return
        match told:
            case Judged():
                self._judged(told)
            case LinkNews(interface, state, reason):
                back = state is LinkState.BACK
                text = f"interface {interface} is {'back' if back else f'lost: {reason}; nothing of it is seen'}"
                self._publish(ErrorTold(time_s=time.time(), part="capture", text=text, over=back))
            case Failed(reason, again_in_s):
                text = f"broke down ({reason}); detection begins anew in {again_in_s:.1f} s"
                self._publish(ErrorTold(time_s=time.time(), part="engine", text=text))
                self.end_incidents()

    def _judged(self, judged: Judged) -> None:
        """The mitigator comes first: what is told to people can wait a moment."""
        self.delay_s = judged.delay_s
        self.mitigator.judged(judged)
        probes, self._probes = tuple(self._probes), []
        window, now_s = judged.window, judged.window.end_s
        if self._unseen:
            for one in window.services:
                if one.packets_in or one.packets_out:
                    self._unseen.pop(one.service.label, None)
        self._publish(WindowClosed(time_s=now_s, window=window, state=self.engine.table.newest, canaries=probes))
        for finding in judged.findings:
            self._publish(FindingMade(time_s=now_s, finding=finding))
        for incident in judged.changed:
            self._incident(now_s, self._with_recommendation(incident, judged.services))
        self.observer.alarmed = bool(self._open)

    def end_incidents(self) -> None:
        """Tables begin anew: what lasts will be found again, under another name, and nobody would ever end what is open now."""
        now_s = time.time()
        for incident in self.incidents:
            over = msgspec.structs.replace(incident, ended_s=now_s)
            self.mitigator.incident(now_s, over, ())
            self._incident(now_s, over)

    def _incident(self, now_s: float, incident: Incident) -> None:
        was_open = incident.id in self._open
        if incident.ended_s is not None:
            self._open.pop(incident.id, None)
            self._publish(IncidentTold(time_s=now_s, type="incident.closed", incident=incident))
            return
        self._open[incident.id] = incident
        if not was_open:
            self.observer.surveyor.hurry()
        self._publish(IncidentTold(time_s=now_s, type="incident.updated" if was_open else "incident.opened", incident=incident))

    def _with_recommendation(self, incident: Incident, services: tuple[Service, ...]) -> Incident:
        ladder = self._ladders.get(incident.mode, ())
        recommendation = recommend_rung(incident, ladder, services=services, never_block=self.config.mitigate.never_block)
        return msgspec.structs.replace(incident, recommendation=recommendation)

    def _probed(self, result: CanaryResult) -> None:
        self._probes.append(result)
        name = next((entry.name for entry in self.config.services if entry.label == result.service), result.service)
        counts = self._answered.setdefault(name, [0, 0])
        counts[0] += 1
        counts[1] += result.ok
        self.mitigator.probed(result)

    async def _ticking(self) -> None:
        while True:
            await asyncio.sleep(TICK_S - time.time() % TICK_S)
            self.mitigator.tick()


def _counted(**counts: int) -> dict[str, int]:
    return {reason.replace("_", " "): count for reason, count in counts.items() if count}
