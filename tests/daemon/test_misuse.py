"""``netwatch run`` where it cannot work: each time one sentence that says what is missing, exit code 1, and an untouched firewall."""

import shutil
import subprocess
from pathlib import Path

import pytest

from netwatch.store.lock import Lock
from tests.cli.commands import NETWATCH
from tests.conftest import missing
from tests.enforce.conftest import namespace

__all__ = ["namespace"]  # fixtures

pytestmark = pytest.mark.namespace

NO_CAPABILITIES = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all")


@pytest.fixture
def config(namespace: str, tmp_path: Path) -> Path:
    file = tmp_path / "netwatch.toml"
    firewall = '[firewall]\nname = "edge-1"\ndriver = "nftables"\n[[capture]]\ninterface = "lo"\n[mitigate]\nmode = "enforce"\n'
    file.write_text(f'state_dir = "{tmp_path}"\n{firewall}')
    subprocess.run(["ip", "-n", namespace, "link", "set", "lo", "up"], check=True)
    return file


def run(namespace: str, config: Path, *prefix: str) -> str:
    """The sentence that it ends with."""
    command = ["ip", "netns", "exec", namespace, *prefix, str(NETWATCH), "run", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    listed = subprocess.run(["ip", "netns", "exec", namespace, "nft", "list", "tables"], capture_output=True, text=True, check=True)
    assert listed.stdout == ""
    return done.stderr.splitlines()[-1]


def test_a_second_netwatch_on_the_same_firewall_is_refused(namespace: str, config: Path) -> None:
    with Lock(config.parent, "edge-1"):
        said = run(namespace, config)
    assert "another netwatch" in said
    assert "give this one another firewall.name or state_dir" in said


def test_without_its_capabilities_it_names_the_one_that_is_missing(namespace: str, config: Path) -> None:
    if shutil.which("setpriv") is None:
        missing("setpriv is not installed")
    assert "CAP_NET_" in run(namespace, config, *NO_CAPABILITIES)


def test_without_nftables_it_says_what_to_install(namespace: str, config: Path) -> None:
    """Library and program are hidden in a mount namespace of the command's own."""
    if shutil.which("unshare") is None:
        missing("unshare is not installed")
    files = [*Path("/usr/lib").glob("*/libnftables.so.1*"), Path(shutil.which("nft") or "/usr/sbin/nft")]
    hidden = " ".join(f"'{path.resolve()}'" for path in files)
    hide = f'for file in {hidden}; do mount --bind /dev/null "$file"; done; exec "$@"'
    assert "install nftables" in run(namespace, config, "unshare", "--mount", "sh", "-c", hide, "sh")


def test_an_interface_that_is_not_there_is_named(namespace: str, config: Path) -> None:
    config.write_text(config.read_text().replace('interface = "lo"', 'interface = "eth77"'))
    assert "eth77" in run(namespace, config)
