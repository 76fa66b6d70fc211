"""Messages are read back as they were put together; any bytes are survived; an answer belongs to its question."""

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.kernel.netlink import ACK, DUMP, KernelRefusalError, Netlink, attribute, attributes, error_number, message, messages, nested
from tests.enforce.conftest import namespace

__all__ = ["namespace"]  # fixtures

GET_STATISTICS, GET_STATISTICS_OF_PROCESSORS, DELETE_TABLE = 0x105, 0x104, 0xA02
INET = 1


@given(st.dictionaries(st.integers(0, 0x3FFF), st.binary(max_size=40), max_size=8))
def test_attributes_are_read_as_they_were_written(values: dict[int, bytes]) -> None:
    chain = b"".join(attribute(kind, value) for kind, value in values.items())
    assert attributes(chain) == values
    assert attributes(nested(5, chain))[5] == chain


@given(st.binary(max_size=200))
def test_any_bytes_are_survived(data: bytes) -> None:
    assert sum(len(value) for value in attributes(data).values()) <= len(data)
    assert sum(len(value) for _, _, value in messages(data)) <= len(data)
    assert isinstance(error_number(data), int)


@pytest.mark.namespace
def test_answers_of_a_question_that_was_given_up_are_passed_over(namespace: str) -> None:
    with Netlink(namespace) as netlink:
        given_up = netlink.ask(message(GET_STATISTICS_OF_PROCESSORS, DUMP, 0))
        next(given_up)
        (answer,) = netlink.ask(message(GET_STATISTICS, 0, 0))
        assert answer.attributes[1] == bytes(4)  # entries of a fresh namespace


@pytest.mark.namespace
def test_what_the_kernel_refuses_has_its_number(namespace: str) -> None:
    with Netlink(namespace) as netlink, pytest.raises(KernelRefusalError, match="the kernel refused") as refusal:
        list(netlink.ask(message(DELETE_TABLE, ACK, INET, attribute(1, b"none\0"))))
    assert refusal.value.number in (errno.ENOENT, errno.EOPNOTSUPP, errno.EINVAL)
