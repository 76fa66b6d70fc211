"""nftables' own library, bound by hand: text in, text out, without a process for each command (0.04-0.4 ms instead of 2-16 ms).

A context holds a netlink socket, opened in the namespace of the thread that makes it, and stays bound to that namespace from whatever
thread it is used. It must not be used by two threads at once, and the library keeps things beside the context too: one lock serves all.

Only ``add``, ``delete`` and ``list`` of one named set or map are quick whatever the table holds. In nft 1.0.6 all other listings (a
counter, the names of tables, ``get element``) first fetch every element of every set: 8 s where a meter had learned 100,000 prefixes. And
of two ``list`` commands in one text the first is not found. So what else must be known of the table is asked by ``ruleset``.
"""

import ctypes
import shutil
import subprocess
from threading import Lock
from typing import Protocol

from netwatch.errors import FirewallRefusedError, FirewallUnreachableError
from netwatch.kernel.namespace import entered

LIBRARY = "libnftables.so.1"
PROGRAM = "nft"
PROGRAM_WITHIN_S = 10.0

IN_USE = Lock()


class Nft(Protocol):
    """What runs text in the language of ``nft``: one text is one transaction."""

    def run(self, text: str, *, dry: bool = False) -> str:
        """Output of the text; with ``dry`` the kernel checks it and changes nothing.

        Raises:
            FirewallRefusedError: nothing of it is in force; the text is nft's own.
        """

    def close(self) -> None: ...


def library() -> ctypes.CDLL | None:
    """The library with its functions described; None where it is not installed."""
    try:
        found = ctypes.CDLL(LIBRARY)
    except OSError:
        return None
    pointer = ctypes.c_void_p
    found.nft_ctx_new.restype, found.nft_ctx_new.argtypes = pointer, [ctypes.c_uint32]
    found.nft_ctx_free.argtypes = [pointer]
    found.nft_run_cmd_from_buffer.argtypes = [pointer, ctypes.c_char_p]
    found.nft_ctx_set_dry_run.argtypes = [pointer, ctypes.c_bool]
    for output in ("output", "error"):
        getattr(found, f"nft_ctx_buffer_{output}").argtypes = [pointer]
        read = getattr(found, f"nft_ctx_get_{output}_buffer")
        read.argtypes, read.restype = [pointer], ctypes.c_char_p
    return found


class Libnftables:
    """The library, in one namespace."""

    def __init__(self, found: ctypes.CDLL, namespace: str | None = None) -> None:
        self._library = found
        with entered(namespace), IN_USE:
            self._context = found.nft_ctx_new(0)
        if not self._context:
            raise FirewallUnreachableError(f"{LIBRARY} cannot open netlink; CAP_NET_ADMIN is needed")
        found.nft_ctx_buffer_output(self._context)
        found.nft_ctx_buffer_error(self._context)

    def run(self, text: str, *, dry: bool = False) -> str:
        with IN_USE:
            self._library.nft_ctx_set_dry_run(self._context, dry)
            failed = self._library.nft_run_cmd_from_buffer(self._context, text.encode())
            output = self._library.nft_ctx_get_output_buffer(self._context)
            problem = self._library.nft_ctx_get_error_buffer(self._context)
        if failed:
            raise FirewallRefusedError(problem.decode(errors="replace").strip() or "nft failed and does not say why")
        return str(output.decode())

    def close(self) -> None:
        if self._context:
            with IN_USE:
                self._library.nft_ctx_free(self._context)
            self._context = None


class NftProgram:
    """The program ``nft``, where the library is not installed."""

    def __init__(self, namespace: str | None = None) -> None:
        if shutil.which(PROGRAM) is None:
            raise FirewallUnreachableError(f"neither {LIBRARY} nor {PROGRAM} is installed: install nftables")
        self._namespace = namespace

    def run(self, text: str, *, dry: bool = False) -> str:
        command = [PROGRAM, *(["-c"] if dry else []), "-f", "-"]
        try:
            with entered(self._namespace):
                done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=PROGRAM_WITHIN_S, check=False)
        except subprocess.TimeoutExpired as error:
            raise FirewallUnreachableError(f"{PROGRAM} did not end within {PROGRAM_WITHIN_S:g} s") from error
        if done.returncode:
            raise FirewallRefusedError(done.stderr.strip() or f"{PROGRAM} ended with {done.returncode} and does not say why")
        return done.stdout

    def close(self) -> None:
        """Nothing is open between two commands."""


def nft(namespace: str | None = None) -> Nft:
    """The library if it is installed, else the program.

    Raises:
        FirewallUnreachableError: neither is, or the namespace or the permission is missing.
    """
    found = library()
    return NftProgram(namespace) if found is None else Libnftables(found, namespace)
