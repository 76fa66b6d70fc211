"""Every error that netwatch raises on purpose, in one tree.

::

    NetwatchError                what, which, what to do: one clear sentence for the person at the terminal
    ├── UsageError               the command line asks for something that does not exist (exit 2)
    ├── ConfigError              a TOML file has a wrong key, type or value
    ├── CaptureError             a capture cannot be opened, is not a capture, or is refused
    ├── ReportError              an output cannot be written
    ├── StoreError               the journal cannot be opened or written, or another netwatch holds it: no change is made then
    ├── SinkError                a sink cannot work at all, or a replay could not be written to it
    ├── ControlError             a running netwatch cannot be spoken to, or does not answer
    │   └── NotRunningError      there is none
    ├── DrillError                a drill cannot be set up on this machine, or a part of it failed
    └── EnforceError             a firewall was not changed as asked; the text has the firewall's own words
        ├── ChangeForbiddenError      the driver refuses to send it: it reaches outside of netwatch's table, or cannot end by itself
        ├── FirewallRefusedError      the firewall said no, and nothing of the transaction is in force
        ├── TableLostError            netwatch's table is not there (any more): load it, then arm it again
        └── FirewallUnreachableError  no permission, no such namespace, no nftables: nothing can be changed now

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


class SinkError(NetwatchError):
    """A sink cannot work at all (its address is taken, its spool is another's), or what was asked of it was not done."""


class ControlError(NetwatchError):
    """A running netwatch cannot be spoken to, or does not answer."""


class NotRunningError(ControlError):
    """No netwatch runs for this firewall and state_dir."""


class DrillError(NetwatchError):
    """A drill cannot be set up on this machine, or a part of it failed; what it made is removed."""


class EnforceError(NetwatchError):
    """A firewall was not changed as asked."""


class ChangeForbiddenError(EnforceError):
    """The driver will not send this change, whatever the firewall would say; to try again is of no use."""


class FirewallRefusedError(EnforceError):
    """The firewall refused the transaction, or does not show what it took; nothing of it is in force."""


class TableLostError(EnforceError):
    """Netwatch's own table is missing: somebody flushed the ruleset, or it was never loaded."""


class FirewallUnreachableError(EnforceError):
    """The firewall cannot be spoken to at all; it may be possible later."""
