"""What nftables lists of one set or map, read back into elements.

The listing shows the set's head and then ``elements = { key timeout 5m expires 4m59s988ms : value, ... }``, over several lines. An element
that nobody of ours can have written (a range that is no prefix) is passed over: it is no element of a change.
"""

import re
from collections.abc import Iterator

from netwatch.enforce.base_table import BaseTable, SetType
from netwatch.enforce.lines import Element, element_from

ELEMENTS = re.compile(r"\belements\s*=\s*\{(.*?)\}", re.DOTALL)


def listed_elements(listing: str, kind: SetType, base: BaseTable) -> Iterator[Element]:
    """The elements of a set, with their life and what is left of it."""
    found = ELEMENTS.search(listing)
    for text in found[1].split(",") if found else ():
        if element := element_from(text, kind, base):
            yield element
