"""Which network a search came from, as far as the log says; many clients of one are one voice."""

from collections.abc import Mapping
from ipaddress import ip_address, ip_network

#: Where logs keep it, the first that is there; `subnet` may be any name, hashed or not.
SUBNET_ATTRIBUTE = "subnet"
ADDRESS_ATTRIBUTES = ("ip", "client_ip", "remote_addr")
#: What one household or office is given: IPv4 addresses share 24 bits, IPv6 addresses 48.
_BITS = {4: 24, 6: 48}


def subnet_of(attributes: Mapping[str, str]) -> str:
    """Return the subnet that a search's attributes name; empty where they name none.

    An address becomes its network, so that no caller ever keeps the address itself.
    """
    if named := attributes.get(SUBNET_ATTRIBUTE, ""):
        return named
    for attribute in ADDRESS_ATTRIBUTES:
        if found := _network(attributes.get(attribute, "")):
            return found
    return ""


def _network(address: str) -> str:
    if not address:
        return ""
    try:
        parsed = ip_address(address.strip())
    except ValueError:
        return ""
    return str(ip_network((parsed, _BITS[parsed.version]), strict=False))
