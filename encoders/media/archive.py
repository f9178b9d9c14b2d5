"""Zip archives and the XML in them, as far as a stranger's file may be trusted with them."""

from __future__ import annotations

import zipfile
import zlib
from xml.etree import ElementTree

from encoders.failures import FailureCategory, MediaError

MAX_XML = 128 << 20
"""Bytes of XML in one part of an archive, unpacked; its tree takes ten times as much memory."""

Element = ElementTree.Element


def open_archive(path: str, max_unpacked: int) -> zipfile.ZipFile:
    """A zip archive. Raises MediaError when it is broken, locked, or declares more than ``max_unpacked`` bytes.

    The declared sizes bind: zipfile reads no more of a member than its directory says.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        raise MediaError(FailureCategory.CORRUPT, f"not a readable archive: {error}") from None
    total = sum(member.file_size for member in archive.infolist())
    if total > max_unpacked:
        message = f"it unpacks to {total:,} bytes, the limit is {max_unpacked:,} (ocr.limits.max_unpacked_gib)"
        raise MediaError(FailureCategory.TOO_LARGE, message)
    if any(member.flag_bits & 1 for member in archive.infolist()):
        raise MediaError(FailureCategory.PASSWORD_REQUIRED, "an archive locked with a password")
    return archive


def read_xml(archive: zipfile.ZipFile, name: str) -> Element:
    """The root of an XML member. Raises MediaError when it is missing, broken, too large or has a DTD."""
    try:
        if archive.getinfo(name).file_size > MAX_XML:
            raise MediaError(FailureCategory.TOO_LARGE, f"{name} unpacks to more than {MAX_XML >> 20} MiB")
        return ElementTree.fromstring(archive.read(name), ElementTree.XMLParser(target=_WithoutDoctype()))
    except KeyError:
        raise MediaError(FailureCategory.CORRUPT, f"the office file has no {name}") from None
    except (ElementTree.ParseError, LookupError, *BROKEN) as error:
        raise MediaError(FailureCategory.CORRUPT, f"{name} in the office file is broken: {error}") from None


BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, OSError, ValueError)
"""What reading a member raises when the archive is damaged."""


class _WithoutDoctype(ElementTree.TreeBuilder):
    """Office files may not hold a DTD (ECMA-376 part 2, 8.2.5), and entities that multiply or fetch need one."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Called by the parser before the first element."""
        raise MediaError(FailureCategory.CORRUPT, "an office file must not declare XML entities")
