"""A drill: build the world, let clients work, attack, watch what happens, and say what it cost.

Everything that takes time to start is started ahead and told when to begin. This process only waits, reads the table's counters twice a
second and does the scenario's steps; what clients and canary met is read from them at the end.
"""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from subprocess import DEVNULL, Popen, TimeoutExpired

import msgspec

from netwatch.errors import DrillError
from netwatch.lab import plan
from netwatch.lab.clients import Attempt, Load
from netwatch.lab.generator import Attack, Sent
from netwatch.lab.outcome import Moment, Notes, Outcome, measure
from netwatch.lab.plan import Role
from netwatch.lab.scenario import Scenario, Step
from netwatch.lab.table_meter import Reading, read_table
from netwatch.lab.world import World

Protect = Callable[[World], Sequence[str]]
"""Gives the command that protects the firewall; it is started in the firewall's namespace, and ended by SIGTERM after the drill."""

READY_WITHIN_S = 10.0
AHEAD_S = 2.0
"""A process with numpy takes up to this long to start on a busy machine."""

READ_EVERY_S = 0.5
PROTECTION_ENDED_WITHIN_S = 10.0
LONGEST_ATTEMPT_S = 5.0


def run_drill(
    scenario: Scenario,
    *,
    protect: Protect | None = None,
    settle_s: float = 3.0,
    tell: Callable[[Moment], None] = lambda moment: None,
) -> Outcome:
    """Run a scenario to its end.

    Args:
        scenario: What happens.
        protect: What protects the firewall; None leaves it alone with the attack.
        settle_s: The protection's time to get ready before clients are measured.
        tell: Is told what happens while it happens.

    Raises:
        DrillError: the world cannot be made, or a part of it failed.
    """
    world = World(limit=scenario.limit, buckets=scenario.buckets, sysctls=scenario.sysctls, silent_server=scenario.silent_server)
    with world, ThreadPoolExecutor(16, "drill") as readers:
        try:
            return measure(_Run(world, scenario, readers, tell).through(protect, settle_s))
        finally:
            world.close()  # before the readers are waited for: they read until the processes end


class _Run:
    """One drill while it runs."""

    def __init__(self, world: World, scenario: Scenario, readers: ThreadPoolExecutor, tell: Callable[[Moment], None]) -> None:
        self._world = world
        self._scenario = scenario
        self._readers = readers
        self._tell = tell
        self._readings: list[Reading] = []
        self._moments: list[Moment] = []
        self._attack_at_s = 0.0
        self._inside_pid = 0
        self._protection_cpu_s = 0.0
        self._protection_bytes = 0

    def through(self, protect: Protect | None, settle_s: float) -> Notes:
        """From the first process to the last answer."""
        scenario, world = self._scenario, self._world
        self._inside_pid = world.start(Role.FIREWALL, "sleep", "infinity").pid
        self._serve()
        protection = self._protection(protect, settle_s)
        begin_s = time.time() + AHEAD_S
        self._attack_at_s = begin_s + scenario.before_s
        clients = [self._load(scenario.clients, begin_s, scenario.total_s)]
        canary = self._load(scenario.canary, begin_s, scenario.total_s)
        if scenario.surge_per_s:
            surge = msgspec.structs.replace(scenario.clients, per_s=scenario.surge_per_s)
            clients.append(self._load(surge, self._attack_at_s, scenario.attack_s))
        attacks = [self._attack(one) for one in scenario.attacks]
        self._watch([one for one in scenario.steps if not (protection and one.only_unprotected)])
        # The last attempts are under way: to end the protection in the middle of a handshake would be no harm of the attack's.
        tried, probed = [one for load in clients for one in _attempts(load)], _attempts(canary)
        if protection is not None:
            self._end(protection)
        return Notes(
            scenario=scenario.name,
            protected=protection is not None,
            limit=scenario.limit,
            attack_at_s=self._attack_at_s,
            before_s=scenario.before_s,
            attack_s=scenario.attack_s,
            after_s=scenario.after_s,
            clients=tried,
            canary=probed,
            readings=self._readings,
            moments=self._moments,
            sent=[msgspec.json.decode(_output(one), type=Sent) for one in attacks],
            protection_cpu_s=self._protection_cpu_s,
            protection_bytes=self._protection_bytes,
        )

    def _serve(self) -> None:
        service = self._world.start_module(Role.SERVER, "service", str(plan.SERVICE_PORT), str(plan.SINK_PORT))
        assert service.stdout is not None
        try:
            said = self._readers.submit(service.stdout.readline).result(READY_WITHIN_S)
        except TimeoutError:
            said = ""
        if said.strip() != "ready":
            raise DrillError("the mail service of the drill did not start")

    def _protection(self, protect: Protect | None, settle_s: float) -> Popen[str] | None:
        if protect is None:
            return None
        process = self._world.start(Role.FIREWALL, *protect(self._world), output=DEVNULL)
        try:
            code = process.wait(settle_s)
        except TimeoutExpired:
            return process
        raise DrillError(f"the protection of the drill ended at once, with exit status {code}")

    def _end(self, protection: Popen[str]) -> None:
        if (code := protection.poll()) is not None:
            self._note(f"the protection had ended by itself, with exit status {code}")
            return
        self._protection_cpu_s, self._protection_bytes = used(protection.pid)
        protection.terminate()
        try:
            protection.wait(PROTECTION_ENDED_WITHIN_S)
        except TimeoutExpired:
            self._note(f"the protection did not end within {PROTECTION_ENDED_WITHIN_S:g} s of being asked to")

    def _load(self, load: Load, start_at_s: float, seconds: float) -> Future[tuple[str, str]]:
        timed = msgspec.structs.replace(load, seconds=seconds, start_at_s=start_at_s)
        return self._start(Role.CLIENT, "clients", msgspec.json.encode(timed).decode())

    def _attack(self, attack: Attack) -> Future[tuple[str, str]]:
        timed = msgspec.structs.replace(attack, start_at_s=self._attack_at_s)
        return self._start(Role.ATTACKER, "generator", msgspec.json.encode(timed).decode())

    def _start(self, role: Role, module: str, words: str) -> Future[tuple[str, str]]:
        return self._readers.submit(self._world.start_module(role, module, words).communicate)

    def _watch(self, steps: Sequence[Step]) -> None:
        """Until the last phase is over: read the table, do the steps, note both."""
        scenario = self._scenario
        due: list[tuple[float, str, Step | None]] = [(one.at_s, one.text, one) for one in steps]
        due += [(0.0, f"{scenario.name} begins: {scenario.text}", None), (scenario.attack_s, f"{scenario.name} is over", None)]
        due.sort(key=lambda one: one[0], reverse=True)
        read_at_s = time.time()
        end_s = self._attack_at_s + scenario.attack_s + scenario.after_s
        while (now := time.time()) < end_s:
            while due and now >= self._attack_at_s + due[-1][0]:
                _, text, step = due.pop()
                if step is not None:
                    self._world.within(step.role, *step.command, text=step.input)
                self._note(text)
            if now >= read_at_s:
                self._read(now)
                read_at_s += READ_EVERY_S
            wake_s = min(read_at_s, end_s, self._attack_at_s + due[-1][0] if due else end_s)
            time.sleep(max(0.0, wake_s - time.time()))
        self._read(time.time())

    def _read(self, now_s: float) -> None:
        reading = read_table(self._inside_pid, now_s)
        if reading.limit != self._scenario.limit:
            raise DrillError(
                f"nf_conntrack_max was changed to {reading.limit:,} by somebody else during the drill, which set it to "
                f"{self._scenario.limit:,}: nothing was measured; run it again"
            )
        self._readings.append(reading)

    def _note(self, text: str) -> None:
        moment = Moment(round(time.time() - self._attack_at_s, 3), text)
        self._moments.append(moment)
        self._tell(moment)


def used(pid: int) -> tuple[float, int]:
    """Seconds of processor that a process has used, and the most memory that it held at once (proc(5))."""
    numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = Path(f"/proc/{pid}/status").read_text()
    peak_kb = int(status.partition("VmHWM:")[2].split()[0]) if "VmHWM:" in status else 0
    return (int(numbers[11]) + int(numbers[12])) / os.sysconf("SC_CLK_TCK"), peak_kb * 1024


def _output(child: Future[tuple[str, str]]) -> str:
    """All that a process printed."""
    try:
        return child.result(LONGEST_ATTEMPT_S)[0]
    except TimeoutError as error:
        raise DrillError("a part of the drill did not end in time: the machine is too busy for it") from error


def _attempts(child: Future[tuple[str, str]]) -> list[Attempt]:
    return msgspec.json.decode("[" + ",".join(_output(child).splitlines()) + "]", type=list[Attempt])
