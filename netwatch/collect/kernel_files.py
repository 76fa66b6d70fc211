"""Counters that the kernel shows as text under /proc/net; each form's names are fields of its type in ``model.firewall_state``.

/proc/net is that of the process's first thread; a thread that has entered another namespace finds its own under /proc/thread-self/net.
What a kernel does not have (no IPv6, no synproxy in use yet) has no file and counts nothing.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

FOLDER = Path("/proc/thread-self/net")

Counters = Mapping[tuple[str, str], int]
"""By the field, and by whose it is: an interface, a processor, a family."""

DEVICE_PLACES = {"received_bytes": 0, "received": 1, "receive_dropped": 3, "sent_bytes": 8, "sent": 9, "send_dropped": 11}
SOFTNET_PLACES = {"processed": 0, "dropped": 1, "squeezed": 2, "flow_limited": 10}
PROCESSOR_PLACE = 12  # since Linux 5.10
SYNPROXY_NAMES = {
    "syn_received": "syn_received",
    "cookie_invalid": "cookie_invalid",
    "cookie_valid": "cookie_valid",
    "cookie_retransmitted": "cookie_retrans",
    "reopened": "conn_reopened",
}
REASSEMBLY_NAMES = {"fragments": "ReasmReqds", "completed": "ReasmOKs", "failed": "ReasmFails", "timed_out": "ReasmTimeout"}


def device(text: str) -> Counters:
    """/proc/net/dev: two lines of headings, then an interface a line. Dropped are also the packets that its ring missed."""
    found = {}
    for line in text.splitlines()[2:]:
        name, _, numbers = line.rpartition(":")
        counts = numbers.split()
        found.update({(field, name.strip()): int(counts[place]) for field, place in DEVICE_PLACES.items()})
    return found


def softnet(text: str) -> Counters:
    """/proc/net/softnet_stat: a processor a line, in hexadecimal."""
    found = {}
    for row, line in enumerate(text.splitlines()):
        counts = [int(number, 16) for number in line.split()]
        processor = counts[PROCESSOR_PLACE] if len(counts) > PROCESSOR_PLACE else row
        found.update({(field, str(processor)): counts[place] for field, place in SOFTNET_PLACES.items()})
    return found


def synproxy(text: str) -> Counters:
    """/proc/net/stat/synproxy: a line of headings, then a processor a line, in hexadecimal."""
    headings, *rows = (line.split() for line in text.splitlines())
    places = {field: headings.index(name) for field, name in SYNPROXY_NAMES.items()}
    return {(field, str(row)): int(numbers[place], 16) for row, numbers in enumerate(rows) for field, place in places.items()}


def reassembly4(text: str) -> Counters:
    """/proc/net/snmp: a line of names and one of numbers, both behind the protocol."""
    names, numbers = (line.split() for line in text.splitlines() if line.startswith("Ip:"))
    return {(field, "ipv4"): int(numbers[names.index(name)]) for field, name in REASSEMBLY_NAMES.items()}


def reassembly6(text: str) -> Counters:
    """/proc/net/snmp6: a name and a number a line."""
    numbers = dict(line.split() for line in text.splitlines())
    return {(field, "ipv6"): int(numbers[f"Ip6{name}"]) for field, name in REASSEMBLY_NAMES.items()}


def fragment_memory(text: str) -> Counters:
    """/proc/net/sockstat and sockstat6: ``FRAG: inuse 0 memory 0``, in bytes; a gauge."""
    lines = [line.split() for line in text.splitlines() if line.startswith("FRAG")]
    return {("bytes_held", family): int(words[words.index("memory") + 1]) for family, *words in lines}


def read(name: str, form: Callable[[str], Counters]) -> Counters:
    """The counters of a file in the calling thread's namespace."""
    try:
        return form((FOLDER / name).read_text())
    except FileNotFoundError:
        return {}
