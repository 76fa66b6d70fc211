"""A playbook's templates to exact commands: one line for each service and prefix, in the words of ``nft`` and ``conntrack``.

A template is a line of shell with ``$address``, ``$port``, ``$protocol``, ``$mss``, ``$prefix``, ``$family`` (4 or 6), ``$life_s`` and the
figures of the effect; ``$$`` is a dollar sign. A line that names both a service and a prefix is written where their families agree, a line
that names the MSS of a service where it is known.
"""

from collections.abc import Iterator, Mapping, Sequence
from string import Template

from netwatch.mitigate.target import Target

SERVICE_WORDS = frozenset(("address", "port", "protocol", "mss"))
PROTECT = Template("nft add element inet netwatch protect$family '{ $prefix }'")


def commands(templates: Sequence[str], target: Target, figures: Mapping[str, object]) -> tuple[str, ...]:
    """The lines for a target, each once; none where a template has nothing to aim at."""
    return tuple(dict.fromkeys(line for text in templates for line in _lines(Template(text), target, figures)))


def protecting(never_block: Sequence[str]) -> tuple[str, ...]:
    """The lines that put prefixes out of reach of every rule of netwatch's table; they come before any other."""
    import netaddr

    networks = [netaddr.IPNetwork(prefix).cidr for prefix in never_block]
    return tuple(PROTECT.substitute(family=network.version, prefix=network) for network in netaddr.cidr_merge(networks))


def _lines(template: Template, target: Target, figures: Mapping[str, object]) -> Iterator[str]:
    import netaddr

    words = set(template.get_identifiers())
    services = [(netaddr.IPNetwork(service.address).version, service) for service in target.services] if words & SERVICE_WORDS else [None]
    prefixes = [netaddr.IPNetwork(prefix) for prefix in target.prefixes] if "prefix" in words else [None]
    for aimed in services:
        for prefix in prefixes:
            values = dict(figures)
            families = set()
            if aimed is not None:
                family, service = aimed
                if "mss" in words and not service.mss:
                    continue
                families.add(family)
                values |= {"address": service.address, "port": service.port, "protocol": service.protocol, "mss": service.mss}
            if prefix is not None:
                families.add(prefix.version)
                values["prefix"] = prefix
            if len(families) == 1:
                yield template.substitute(values, family=families.pop())
            elif not families:
                yield template.substitute(values)
