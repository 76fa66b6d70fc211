"""Changes that break captures where programs trust them: lengths, counts, kinds, order and ends."""

import gzip
import lzma
from collections.abc import Callable, Sequence
from random import Random

import zstandard

from tests.fuzz.corpus import Seed

Change = Callable[[bytearray, Sequence[int], Random], None]

INTERESTING = (0, 1, 2, 3, 4, 7, 8, 15, 16, 20, 27, 28, 40, 60, 63, 64, 127, 128, 255, 256, 1499, 1500, 4095, 32767, 32768, 65534, 65535)
INTERESTING_LONG = (*INTERESTING, 65536, 262_144, 1 << 20, (1 << 20) + 1, 2 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 4, (1 << 32) - 1)
LINK_TYPES = (0, 1, 9, 12, 14, 50, 51, 101, 104, 105, 107, 108, 113, 127, 147, 192, 228, 229, 239, 276)
ETHER_TYPES = (0x0800, 0x86DD, 0x8100, 0x88A8, 0x9100, 0x8847, 0x8848, 0x8863, 0x8864, 0x0806, 0x88BE, 0x894F, 0x6558)
PROTOCOLS = (0, 1, 4, 6, 17, 41, 43, 44, 47, 50, 51, 58, 59, 60, 89, 97, 132, 135, 139, 140)
MOST_CHANGES = 6


def _place(content: bytearray, spots: Sequence[int], random: Random) -> int:
    """Mostly where a header is; anywhere otherwise."""
    if spots and random.random() < 0.75:
        return min(random.choice(spots), len(content) - 1)
    return random.randrange(len(content))


def _flip_bit(content: bytearray, spots: Sequence[int], random: Random) -> None:
    content[_place(content, spots, random)] ^= 1 << random.randrange(8)


def _set_byte(content: bytearray, spots: Sequence[int], random: Random) -> None:
    content[_place(content, spots, random)] = random.choice((random.randrange(256), 0, 0xFF, random.choice(PROTOCOLS)))


def _set_number(content: bytearray, spots: Sequence[int], random: Random) -> None:
    size = random.choice((2, 2, 4))
    value = random.choice(INTERESTING if size == 2 else INTERESTING_LONG)
    at = _place(content, spots, random)
    content[at : at + size] = value.to_bytes(size, random.choice(("little", "big")))


def _nudge_number(content: bytearray, spots: Sequence[int], random: Random) -> None:
    """A length that is off by a little: the kind of error that bounds checks miss."""
    size, order = random.choice((1, 2, 4)), random.choice(("little", "big"))
    at = _place(content, spots, random)
    value = int.from_bytes(content[at : at + size], "little" if order == "little" else "big") + random.randrange(-20, 21)
    content[at : at + size] = (value % (1 << 8 * size)).to_bytes(size, "little" if order == "little" else "big")


def _set_ether_type(content: bytearray, spots: Sequence[int], random: Random) -> None:
    at = _place(content, spots, random)
    content[at : at + 2] = random.choice(ETHER_TYPES).to_bytes(2, "big")


def _set_link_type(content: bytearray, _: Sequence[int], random: Random) -> None:
    """In the header of pcap; in the first interface of a pcapng file without options of the section."""
    at = random.choice((20, 36)) if content[:4] == b"\x0a\x0d\x0d\x0a" else 20
    content[at : at + 2] = random.choice(LINK_TYPES).to_bytes(2, random.choice(("little", "big")))


def _delete(content: bytearray, spots: Sequence[int], random: Random) -> None:
    at = _place(content, spots, random)
    del content[at : at + random.choice((1, 2, 4, 8, 16, 100, 5000))]


def _insert(content: bytearray, spots: Sequence[int], random: Random) -> None:
    at = _place(content, spots, random)
    count = random.choice((1, 2, 4, 12, 16, 64, 1000))
    content[at:at] = random.choice((random.randbytes(count), bytes(count), b"\xff" * count))


def _repeat(content: bytearray, spots: Sequence[int], random: Random) -> None:
    """A header again behind itself: tags, labels, extension headers and tunnels that nest too deep."""
    at = _place(content, spots, random)
    piece = content[at : at + random.choice((2, 4, 8, 14, 20, 24, 40, 58))]
    content[at:at] = piece * random.choice((1, 2, 8, 40, 300))


def _cut(content: bytearray, _: Sequence[int], random: Random) -> None:
    del content[random.randrange(len(content)) :]


CHANGES: tuple[Change, ...] = (
    *(_flip_bit, _set_byte, _set_byte, _set_number, _set_number, _nudge_number, _nudge_number),
    *(_set_ether_type, _set_link_type, _delete, _insert, _repeat, _cut),
)


def _splice(first: Seed, second: Seed, random: Random) -> bytearray:
    """The beginning of one capture and the end of another."""
    head = first.content[: random.randrange(len(first.content))]
    return bytearray(head + second.content[random.randrange(len(second.content)) :])


def _compress(content: bytes, random: Random) -> bytes:
    match random.randrange(4):
        case 0:
            return lzma.compress(content, preset=0)
        case 1:
            return zstandard.ZstdCompressor(write_checksum=random.random() < 0.5).compress(content)
        case 2:
            half = random.randrange(len(content) + 1)
            return gzip.compress(content[:half], 1, mtime=0) + gzip.compress(content[half:], 1, mtime=0)
        case _:
            return gzip.compress(content, 1, mtime=0)


def _change(content: bytearray, spots: Sequence[int], random: Random) -> None:
    for _ in range(random.randrange(1, MOST_CHANGES + 1)):
        if not content:
            return
        random.choice(CHANGES)(content, spots, random)


def mutant(seeds: Sequence[Seed], random: Random) -> bytes:
    """One input: a changed capture, sometimes spliced, sometimes compressed and then changed again."""
    seed = random.choice(seeds)
    content = _splice(seed, random.choice(seeds), random) if random.random() < 0.1 else bytearray(seed.content)
    _change(content, seed.spots, random)
    if random.random() < 0.15:
        content = bytearray(_compress(bytes(content), random))
        if random.random() < 0.8:
            _change(content, (), random)
    return bytes(content)
