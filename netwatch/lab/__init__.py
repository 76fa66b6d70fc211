"""Drills: client, firewall, server and attacker in network namespaces, real packets, and the impact as a canary measures it.

``world`` builds the place, ``generator`` attacks, ``service`` and ``clients`` are what must go on, ``scenario`` says what happens when,
``drill`` runs it and ``outcome`` says what it did.
"""
