"""Writes the scenarios' captures: packets of a mail site, and what goes wrong with them, from fixed seeds.

The vocabulary, from small to large: a ``Packet`` (``wire``), a ``Session`` that opens, asks, answers and closes (``session``),
``dialogues`` such as a mail delivery, ``people`` who hold them from their prefixes, a ``Scene`` that collects everything (``scene``), the
normal life of the ``mail_site``, and what hurts it (``floods``, ``pileups``, ``breakdowns``). ``scenarios`` puts them together.
"""
