"""RFC 5424 read by its grammar (section 6), written from the RFC and knowing nothing of how netwatch writes it."""

import re
from datetime import datetime
from typing import NamedTuple

HEADER = re.compile(
    rb"<(?P<pri>0|[1-9]\d{0,2})>(?P<version>[1-9]\d{0,2}) (?P<time>-|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d))"
    rb" (?P<host>[!-~]{1,255}) (?P<app>[!-~]{1,48}) (?P<process>[!-~]{1,128}) (?P<kind>[!-~]{1,32}) "
)
NAME = rb"[!#-<>-\\^-~]{1,32}"
PARAMETER = re.compile(rb" (" + NAME + rb')="((?:[^"\\\]]|\\.)*)"', re.DOTALL)
ELEMENT = re.compile(rb"\[(" + NAME + rb")((?: " + NAME + rb'="(?:[^"\\\]]|\\.)*")*)\]', re.DOTALL)


class Parsed(NamedTuple):
    facility: int
    level: int
    time: datetime
    host: str
    app: str
    kind: str
    element: str
    fields: dict[str, str]
    text: str


def parse(message: bytes) -> Parsed:
    header = HEADER.match(message)
    assert header, message
    assert header["version"] == b"1"
    priority = int(header["pri"])
    assert priority <= 191
    element = ELEMENT.match(message, header.end())
    assert element, message
    rest = message[element.end() :]
    assert rest[:4] == b" \xef\xbb\xbf", "the text begins with a byte order mark"
    fields = {name.decode(): re.sub(r'\\(["\\\]])', r"\1", value.decode()) for name, value in PARAMETER.findall(element[2])}
    return Parsed(
        facility=priority // 8,
        level=priority % 8,
        time=datetime.fromisoformat(header["time"].decode()),
        host=header["host"].decode(),
        app=header["app"].decode(),
        kind=header["kind"].decode(),
        element=element[1].decode(),
        fields=fields,
        text=rest[4:].decode(),
    )
