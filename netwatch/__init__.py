"""netwatch watches stateful firewalls and ends the harm that traffic and firewall state do to each other.

Start reading at ``pipeline.py``: it is the only file that knows the order of the stages.
"""

__version__ = "0.1.0"
