"""Canaries against real servers that behave well, badly, or not at all."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from netwatch.collect.canary import Canary, CanarySettings
from netwatch.errors import ConfigError
from netwatch.model.canary import CanaryOutcome, CanaryResult
from netwatch.model.service import Service
from tests.collect.namespaces import add_veth, namespaces, within

Dialogue = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

HOST = "127.0.0.1"


class Server:
    """Answers each connection by a dialogue, and keeps what it was told."""

    def __init__(self, dialogue: Dialogue) -> None:
        self.heard: list[bytes] = []
        self.connections = 0
        self.port = 0
        self._dialogue = dialogue
        self.under_way: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self.under_way.add(task)
        try:
            with suppress(ConnectionError):
                await self._dialogue(reader, writer)
                async for line in reader:
                    self.heard.append(line)
                    writer.write(b"221 bye\r\n" if line == b"QUIT\r\n" else b"250-mail.example\r\n250 SIZE 1000\r\n")
                    if line == b"QUIT\r\n":
                        break
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            self.under_way.discard(task)

    async def end(self) -> None:
        for task in self.under_way:
            task.cancel()
        await asyncio.gather(*self.under_way)


@asynccontextmanager
async def serving(dialogue: Dialogue) -> AsyncIterator[Server]:
    server = Server(dialogue)
    async with await asyncio.start_server(server.serve, HOST, 0) as listening:
        server.port = listening.sockets[0].getsockname()[1]
        try:
            yield server
        finally:
            await server.end()


def greets_with(greeting: bytes, *, after_s: float = 0.0) -> Dialogue:
    async def dialogue(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(after_s)
        writer.write(greeting)
        await writer.drain()

    return dialogue


async def hangs_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def resets(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.get_extra_info("socket").setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER of 0 s
    writer.transport.abort()


def service(port: int, address: str = HOST) -> Service:
    return Service("mail", address, port, "tcp")


async def results(settings: CanarySettings, enough: int = 1, *, patience_s: float = 5.0) -> list[CanaryResult]:
    """The first attempts of a canary that runs until there are enough."""
    told: list[CanaryResult] = []
    done = asyncio.Event()

    def tell(result: CanaryResult) -> None:
        told.append(result)
        if len(told) >= enough:
            done.set()

    running = asyncio.create_task(Canary(settings, tell).run())
    with suppress(TimeoutError):
        await asyncio.wait_for(done.wait(), patience_s)
    await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    return told


def first_against(dialogue: Dialogue, *, timeout_s: float = 2.0, hello: str | None = None) -> tuple[CanaryResult, Server]:
    async def attempt() -> tuple[CanaryResult, Server]:
        async with serving(dialogue) as server:
            settings = CanarySettings(service=service(server.port), interval_s=30.0, timeout_s=timeout_s, speaks="smtp", hello=hello)
            (result,) = await results(settings)
            return result, server

    return asyncio.run(attempt())


def test_a_greeted_canary_is_well_and_leaves_politely() -> None:
    before_s = time.time()
    result, server = first_against(greets_with(b"220 mail.example ESMTP\r\n"))
    assert (result.outcome, result.ok, result.is_evidence) == (CanaryOutcome.ANSWERED, True, True)
    assert result.service == f"{HOST}:{server.port}/tcp"
    assert before_s <= result.at_s <= time.time()
    assert 0 < result.latency_s < 2.0
    assert result.detail == "220 mail.example ESMTP"
    assert server.heard == [b"QUIT\r\n"]


def test_a_greeting_of_many_lines_is_read_to_its_end() -> None:
    result, server = first_against(greets_with(b"220-mail.example\r\n220-no spam\r\n220 welcome\r\n"))
    assert (result.ok, result.detail) == (True, "220 welcome")
    assert server.heard == [b"QUIT\r\n"]


def test_a_hello_is_said_and_its_answer_awaited() -> None:
    result, server = first_against(greets_with(b"220 mail.example\r\n"), hello="canary.example")
    assert (result.ok, result.detail) == (True, "250 SIZE 1000")
    assert server.heard == [b"EHLO canary.example\r\n", b"QUIT\r\n"]


def test_a_slow_greeting_shows_in_the_latency() -> None:
    result, _ = first_against(greets_with(b"220 mail.example\r\n", after_s=0.4))
    assert result.ok
    assert result.latency_s >= 0.4


def test_a_greeting_that_does_not_come_in_time_is_silence() -> None:
    result, _ = first_against(greets_with(b"220 mail.example\r\n", after_s=3.0), timeout_s=0.3)
    assert (result.outcome, result.ok) == (CanaryOutcome.SILENT, False)
    assert 0.3 <= result.latency_s < 1.5


@pytest.mark.parametrize(
    ("dialogue", "outcome"),
    [
        (greets_with(b"421 too many connections\r\n"), CanaryOutcome.TURNED_AWAY),
        (greets_with(b"x" * 100_000), CanaryOutcome.TURNED_AWAY),
        (hangs_up, CanaryOutcome.CLOSED),
        (resets, CanaryOutcome.RESET),
    ],
)
def test_what_the_server_does_instead_of_greeting_is_named(dialogue: Dialogue, outcome: CanaryOutcome) -> None:
    result, _ = first_against(dialogue)
    assert (result.outcome, result.ok) == (outcome, False)


def test_a_plain_connection_is_enough_for_other_services() -> None:
    async def attempt() -> list[CanaryResult]:
        async with serving(greets_with(b"")) as server:
            return await results(CanarySettings(service=service(server.port), interval_s=30.0))

    (result,) = asyncio.run(attempt())
    assert (result.outcome, result.detail) == (CanaryOutcome.ANSWERED, "")


def test_a_closed_port_refuses() -> None:
    (result,) = asyncio.run(results(CanarySettings(service=service(1), interval_s=30.0)))
    assert (result.outcome, result.detail) == (CanaryOutcome.REFUSED, "Connection refused")


def test_attempts_keep_their_rhythm() -> None:
    async def attempt() -> list[CanaryResult]:
        async with serving(greets_with(b"220 x\r\n")) as server:
            return await results(CanarySettings(service=service(server.port), interval_s=0.1, timeout_s=2.0, speaks="smtp"), 5)

    told = asyncio.run(attempt())
    assert all(result.ok for result in told)
    assert told[4].at_s - told[0].at_s >= 0.39


def test_a_hanging_server_never_has_more_attempts_than_fit_into_the_time_out() -> None:
    async def attempt() -> tuple[int, int, int]:
        told: list[CanaryResult] = []
        async with serving(greets_with(b"220 late\r\n", after_s=60.0)) as server:
            canary = Canary(CanarySettings(service=service(server.port), interval_s=0.02, timeout_s=0.1, speaks="smtp"), told.append)
            before, most = len(asyncio.all_tasks()), 0
            running = asyncio.create_task(canary.run())
            for _ in range(40):
                await asyncio.sleep(0.02)
                attempts = [task for task in asyncio.all_tasks() if "Canary._attempt" in repr(task.get_coro())]
                most = max(most, len(attempts))
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            assert len(asyncio.all_tasks()) - len(server.under_way) == before
            return most, server.connections, len(told)

    most, connections, told = asyncio.run(attempt())
    assert 2 <= most <= 5
    assert told >= connections - 5, "each ended as silence, none piled up"


def test_cancelling_ends_what_is_under_way(recwarn: pytest.WarningsRecorder) -> None:
    async def attempt() -> tuple[int, int]:
        told: list[CanaryResult] = []
        async with serving(greets_with(b"220 late\r\n", after_s=60.0)) as server:
            running = asyncio.create_task(
                Canary(CanarySettings(service=service(server.port), interval_s=0.05, speaks="smtp"), told.append).run()
            )
            await asyncio.sleep(0.2)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            return len(told), server.connections

    told, connections = asyncio.run(attempt())
    assert told == 0
    assert connections >= 1
    assert not recwarn.list


def test_a_command_is_a_canary_too(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    script = ("sh", "-c", f'echo "$0 $1" > {seen}', "{address}", "{port}")
    (result,) = asyncio.run(results(CanarySettings(service=service(25), command=script, interval_s=30.0)))
    assert result.ok
    assert seen.read_text() == f"{HOST} 25\n"


@pytest.mark.parametrize(
    ("command", "outcome", "detail"),
    [
        (("sh", "-c", "exit 7"), CanaryOutcome.COMMAND_FAILED, "exit code 7"),
        (("no-such-program",), CanaryOutcome.NO_SOURCE, "no-such-program: No such file or directory"),
    ],
)
def test_a_command_that_fails_says_how(command: tuple[str, ...], outcome: CanaryOutcome, detail: str) -> None:
    (result,) = asyncio.run(results(CanarySettings(service=service(25), command=command, interval_s=30.0)))
    assert (result.outcome, result.detail) == (outcome, detail)
    assert result.is_evidence == (outcome is not CanaryOutcome.NO_SOURCE)


def test_a_command_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    child = tmp_path / "child"
    command = ("sh", "-c", f"sleep 60 & echo $! > {child}; wait")
    (result,) = asyncio.run(results(CanarySettings(service=service(25), command=command, interval_s=30.0, timeout_s=0.5)))
    assert result.outcome is CanaryOutcome.FILTERED
    deadline_s = time.monotonic() + 3
    number = int(child.read_text())
    while _runs(number) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert not _runs(number)


def _runs(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"service": Service("mail", "203.0.113.0/24", 25, "tcp")}, "203.0.113.0/24 is a prefix; give the address to connect to"),
        ({"service": Service("dns", HOST, 53, "udp")}, "only tcp can be connected to; give a command that speaks udp"),
        ({"source": "2001:db8::1"}, "are not of the same family"),
        ({"source": "nobody"}, "'nobody' does not appear to be an IPv4 or IPv6 address"),
        ({"interval_s": 0.0}, "interval_s and timeout_s must be > 0"),
        ({"command": ("true",), "namespace": "x"}, "leave out namespace and source"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Canary(CanarySettings(**{"service": service(25), **changes}), print)  # type: ignore[arg-type]  # names and types as above


def test_a_service_that_is_a_prefix_is_probed_at_the_address_given() -> None:
    async def attempt() -> list[CanaryResult]:
        async with serving(greets_with(b"")) as server:
            prefix = service(server.port, "127.0.0.0/8")
            return await results(CanarySettings(service=prefix, address=HOST, interval_s=30.0))

    (result,) = asyncio.run(attempt())
    assert result.ok
    assert result.service.startswith("127.0.0.0/8:")


@pytest.mark.namespace
def test_a_canary_goes_out_from_the_namespace_and_address_it_is_given() -> None:
    with namespaces("client", "server") as (client, server):
        add_veth(client, server, addresses=("10.0.0.1/24", "10.0.0.2/24"))
        within(client, "ip", "address", "add", "10.0.0.7/24", "dev", "veth0")
        within(server, "nft", "-f", "-", stdin=RULES)
        ports = {1: CanaryOutcome.REFUSED, 25: CanaryOutcome.FILTERED, 26: CanaryOutcome.REFUSED}
        made = [
            CanarySettings(service=service(port, "10.0.0.2"), namespace=client, source="10.0.0.7", interval_s=30.0, timeout_s=0.3)
            for port in ports
        ]
        found = [asyncio.run(results(settings))[0].outcome for settings in made]
        assert found == list(ports.values())
        counted = within(server, "nft", "list", "counter", "inet", "filter", "from_seven")
        assert "packets 3" in counted, "each came from the address that was asked for"
        (nowhere,) = asyncio.run(results(CanarySettings(service=service(25, "192.0.2.1"), namespace=client, interval_s=30.0)))
        assert (nowhere.outcome, nowhere.detail) == (CanaryOutcome.UNREACHABLE, "Network is unreachable")
        (unowned,) = asyncio.run(
            results(CanarySettings(service=service(25, "10.0.0.2"), namespace=client, source="10.0.0.99", interval_s=30.0))
        )
        assert (unowned.outcome, unowned.is_evidence) == (CanaryOutcome.NO_SOURCE, False)
        (lost,) = asyncio.run(results(CanarySettings(service=service(25, "10.0.0.2"), namespace="nw-none", interval_s=30.0)))
        assert lost.outcome is CanaryOutcome.NO_SOURCE
        assert "nw-none" in lost.detail


RULES = """
add table inet filter
add counter inet filter from_seven
add chain inet filter inward { type filter hook input priority 0; }
add rule inet filter inward ip saddr 10.0.0.7 tcp flags syn counter name from_seven
add rule inet filter inward tcp dport 25 drop
add rule inet filter inward tcp dport 26 reject with tcp reset
"""
