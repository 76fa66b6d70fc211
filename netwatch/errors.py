"""Every error that netwatch raises on purpose, in one tree.

::

    NetwatchError                what, which, what to do: one clear sentence for the person at the terminal
    ├── UsageError               the command line asks for something that does not exist (exit 2)
    ├── ConfigError              a TOML file has a wrong key, type or value
    ├── CaptureError             a capture cannot be opened, is not a capture, or is refused
    ├── ReportError              an output cannot be written
    └── StoreError               the journal cannot be opened or written, or another netwatch holds it: no change is made then

Errors of single records (a cut packet, a bad length) are no exceptions: they are counted by reason and the stream goes on.
Foreign exceptions are turned into these at the edge where they arise, with ``raise ... from error``.
"""


class NetwatchError(Exception):
    """Base of all errors that carry a sentence for the user."""


class UsageError(NetwatchError):
    """The command line names something that does not exist, such as an unknown profile or playbook."""


class ConfigError(NetwatchError):
    """A TOML file of the user or of ``rules/`` is wrong; the text names the file and the key."""


class CaptureError(NetwatchError):
    """A capture cannot be read at all: missing, no permission, empty, or not a capture."""


class ReportError(NetwatchError):
    """An output file cannot be written."""


class StoreError(NetwatchError):
    """The journal cannot be opened or written, or another netwatch works with it; without a journalled intent no change is made."""
