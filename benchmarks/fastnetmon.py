"""FastNetMon (Debian's, ``apt install fastnetmon``) on one link: its configuration, and the command that runs it."""

from collections.abc import Mapping
from pathlib import Path

BASE = {
    "disable_usage_report": "on",
    "process_outgoing_traffic": "off",
    "enable_api": "off",
    "monitor_local_ip_addresses": "off",
    "mirror_afpacket": "on",
    "ban_for_pps": "off",
    "ban_for_bandwidth": "off",
    "average_calculation_time": "5",
}


def fastnetmon_command(folder: Path, interface: str, *, protected: str, also: Mapping[str, str]) -> tuple[str, ...]:
    """Write what it reads into ``folder``; ``also`` is added to its configuration."""
    networks, nobody, configuration = folder / "networks", folder / "nobody", folder / "fastnetmon.conf"
    networks.write_text(f"{protected}\n")
    nobody.write_text("")
    keys = BASE | {
        "interfaces": interface,
        "networks_list_path": str(networks),
        "white_list_path": str(nobody),
        "cli_stats_file_path": str(folder / "stats"),
        "cli_stats_ipv6_file_path": str(folder / "stats6"),
    }
    configuration.write_text("".join(f"{key} = {value}\n" for key, value in (keys | dict(also)).items()))
    return ("fastnetmon", "--configuration_file", str(configuration), "--log_file", str(folder / "fastnetmon.log"), "--disable_pid_logic")
