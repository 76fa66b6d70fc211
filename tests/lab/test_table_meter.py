"""The kernel's counters of a state table."""

from netwatch.lab.table_meter import Reading, parse

TEXT = """entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop icmp_error  expect_new expect_create expect_delete search_restart
0000270f  00000000 00000000 00000000 00000001 00000000 00000000 00000000 00000000 00000000 0000000a 00000010 00000000  00000000 00000000 00000000 00000000
0000270f  00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000001 00000001 00000000  00000000 00000000 00000000 00000000
"""  # noqa: E501 - as the kernel writes it


def test_entries_are_said_once_and_counters_are_summed_over_the_cpus() -> None:
    assert parse(TEXT, now_s=5.0, limit=10_000) == Reading(time_s=5.0, limit=10_000, entries=9999, dropped=11, early_dropped=17)
