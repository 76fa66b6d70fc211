"""A systemd of its own, as process 1 of fresh namespaces over a copy of this machine's files that lasts as long as the test."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from netwatch.jit.folder import cache_folder
from tests.conftest import ROOT, missing

SYSTEMD = Path("/lib/systemd/systemd")
BOOTS_WITHIN_S = 20.0

CONFIGURATION = """\
state_dir = "/var/lib/netwatch"
[firewall]
name = "edge-1"
driver = "nftables"
[[capture]]
interface = "lo"
[mitigate]
mode = "enforce"
"""

# The checkout and its interpreter may live in a home or in /tmp. A watchdog of 15 s is right for a firewall and long for a test.
DROP_IN = f"""\
[Service]
ProtectHome=read-only
PrivateTmp={"no" if ROOT.is_relative_to("/tmp") else "yes"}
WatchdogSec=4
"""

BOOT = """\
set -e
cd "$1"; root="$1/root"
mount -t tmpfs tmpfs "$1/layers"
mkdir layers/upper layers/work
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/layers/upper,workdir=$1/layers/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs tmpfs "$root/dev"
for name in null zero full random urandom tty; do touch "$root/dev/$name"; mount --bind "/dev/$name" "$root/dev/$name"; done
ln -s /proc/self/fd "$root/dev/fd"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t tmpfs tmpfs "$root/dev/shm"
mount -t tmpfs tmpfs "$root/run"
cp -a "$1/files/." "$root/"
ip link set lo up
cd "$root"
mkdir -p .before
pivot_root . .before
exec chroot . /bin/sh -c 'umount -l /.before; exec env -i container=netwatch-test PATH=/usr/sbin:/usr/bin:/sbin:/bin \\
  /lib/systemd/systemd --system --unit=trial.target --log-target=journal --show-status=0' </dev/null
"""


class Booted:
    """A machine that has booted."""

    def __init__(self, first: int) -> None:
        self._first = first  # process 1, as it is numbered outside

    def run(self, *words: str, check: bool = True) -> str:
        """Run a command inside; what it printed."""
        inside = ("nsenter", "-t", str(self._first), "-m", "-p", "-n", "-u", "-i", "-C", "-r", "-w", "--")
        done = subprocess.run([*inside, *words], capture_output=True, text=True, check=False, timeout=200)
        assert done.returncode == 0 or not check, f"{' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def shown(self, name: str) -> str:
        """A property of netwatch's unit."""
        return self.run("systemctl", "show", "netwatch", "-p", name, "--value").strip()

    def wait(self, until: Callable[[], object], within_s: float = 30.0) -> None:
        deadline_s = time.monotonic() + within_s
        while not until():
            assert time.monotonic() < deadline_s, (
                f"waited in vain\n{self.run('systemctl', 'status', 'netwatch', '--no-pager', check=False)}"
            )
            time.sleep(0.2)


@contextmanager
def booted(folder: Path, unit: Path) -> Iterator[Booted]:
    """Boot it with netwatch's unit installed and not started; everything is gone afterwards."""
    hierarchy = _cgroup2()
    if os.geteuid() != 0 or not SYSTEMD.exists() or shutil.which("pivot_root") is None:
        missing("booting a systemd needs root, systemd and util-linux")
    for name in ("layers", "root"):
        (folder / name).mkdir()
    _files(folder / "files", unit)
    group = hierarchy / f"nw-{os.getpid()}-booted"
    group.mkdir()
    words = ["unshare", "-m", "-p", "-f", "-n", "-u", "-i", "-C", "--propagation", "private", "sh", "-c", BOOT, "boot", str(folder)]
    log = folder / "boot.log"
    with log.open("wb") as said:
        outside = subprocess.Popen(
            ["sh", "-c", f'echo $$ > "{group}/cgroup.procs"; exec "$@"', "sh", *words], stdout=said, stderr=said, start_new_session=True
        )
    try:
        yield Booted(_first(outside, log))
    finally:
        for child in _children(outside.pid):
            os.kill(child, signal.SIGKILL)
        outside.kill()
        outside.wait()
        _remove(group)


def _cgroup2() -> Path:
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    found = next((Path(words[1]) for words in mounts if words[2] == "cgroup2"), None)
    if found is None:
        missing("there is no cgroup2 hierarchy, which systemd needs")
    return found


def _files(folder: Path, unit: Path) -> None:
    """What the machine has that this one has not: netwatch, installed, with its kernels compiled."""
    system, configuration, programs = folder / "etc/systemd/system", folder / "etc/netwatch", folder / "usr/bin"
    for needed in (system / "netwatch.service.d", configuration, programs, folder / "var/cache"):
        needed.mkdir(parents=True)
    shutil.copy(unit, system)
    (system / "netwatch.service.d" / "trial.conf").write_text(DROP_IN)
    (system / "systemd-tmpfiles-setup.service").symlink_to("/dev/null")  # it empties /tmp
    (system / "trial.target").write_text("[Unit]\nDescription=netwatch's trial\n")
    (folder / "etc" / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    (configuration / "netwatch.toml").write_text(CONFIGURATION)
    program = programs / "netwatch"
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m netwatch "$@"\n')
    program.chmod(0o755)
    if (compiled := cache_folder("netwatch.decode.kernel")) is not None:
        shutil.copytree(compiled.parents[1], folder / "var/cache/netwatch" / compiled.parents[1].name)


def _first(outside: subprocess.Popen[bytes], log: Path) -> int:
    """Process 1, once it is systemd and has started all that it starts by itself."""
    deadline_s = time.monotonic() + BOOTS_WITHIN_S
    while True:
        for child in _children(outside.pid):
            is_systemd = Path(f"/proc/{child}/comm").read_text().strip() == "systemd"
            if is_systemd and "running" in Booted(child).run("systemctl", "is-system-running", check=False):
                return child
        if outside.poll() is not None or time.monotonic() > deadline_s:
            missing(f"a systemd does not boot here: {log.read_text().strip()[-200:] or 'no word'}")
        time.sleep(0.1)


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _remove(group: Path) -> None:
    deadline_s = time.monotonic() + 5
    while group.exists() and time.monotonic() < deadline_s:
        for inner in sorted((path for path in group.rglob("*") if path.is_dir()), key=lambda path: -len(path.parts)):
            _try_rmdir(inner)
        _try_rmdir(group)
        time.sleep(0.1)


def _try_rmdir(group: Path) -> None:
    try:
        group.rmdir()
    except OSError:
        return  # its processes are still ending
