"""Nothing is compiled in the middle of an attack: what the packets of a live firewall can call was called before."""

import subprocess
import sys

NOT_NEEDED = {
    "read_quote",  # part of another kernel
    "write_open_records",  # of flow records, which only files have
    "walk_block",  # called as the ring is opened
}
SCRIPT = """
import gc
import netwatch.daemon.daemon
from netwatch.config import replay_settings
from netwatch.daemon.warm_up import warm_up
from netwatch.jit import Kernel

warm_up(replay_settings())
kernels = [one for one in gc.get_objects() if type(one) is Kernel]
print(len(kernels), *(one.function.__name__ for one in kernels if not one._loaded))
"""


def test_every_kernel_is_called_before_the_first_packet() -> None:
    """In a process of its own, where no other test has called any."""
    found = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True).stdout.split()
    assert int(found[0]) > 20
    assert set(found[1:]) <= NOT_NEEDED
