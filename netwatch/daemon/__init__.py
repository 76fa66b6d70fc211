"""netwatch on a live firewall: ``netwatch run``.

One thread does nothing but read packets and judge windows (``engine``); two others ask the kernel about its table (``observer``); a loop of
asyncio carries what they say to the life of mitigations (``mitigator``), to sinks and to people. No part waits for another: what fails is
started again and said, and detection goes on.
"""
