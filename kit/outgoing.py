"""HTTP to other companies' servers: only to public addresses, and only over https, unless the installation says otherwise.

A webhook's address is a setting, yet its name is resolved by somebody else: it may come to point into this network, at a
database or at a cloud's metadata, when it is used and not when it is set. So the name is resolved here, every address it has is judged, and
the connection goes to the very address that was judged. Redirects are not followed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket

import httpx

from kit.errors import UserError

_ASSIGNED = ipaddress.ip_network("2000::/3")
"""Where public addresses of IPv6 are; outside of it is much that wraps IPv4, such as `64:ff9b:1::/48` (RFC 8215) and `::ffff:0:0:0/96` (RFC 2765)."""
_WAY_OUT = "correct the address, or set KOTAE_WEBHOOK_PRIVATE_NETWORKS"


class PublicTransport(httpx.AsyncHTTPTransport):
    """A transport that reaches public addresses alone.

    Raises:
        UserError: the address is not https, or its name leads to an address that is not public.
    """

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends a request to an address that was judged, under the name it was meant for."""
        url = request.url
        if url.scheme != "https":
            raise UserError(f"a webhook to {url.host} would go in the open", f"use https, {_WAY_OUT}")
        address = await public_address(url.host, url.port or 443)
        request.extensions = {**request.extensions, "sni_hostname": url.host}  # the certificate must be the name's
        request.url = url.copy_with(host=address)
        return await super().handle_async_request(request)


async def public_address(host: str, port: int) -> str:
    """An address of a host, all of whose addresses are public.

    Raises:
        UserError: one of them is not, or there is none.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise UserError(f"the name {host} leads nowhere", "correct the address") from None
    addresses = [str(each[4][0]) for each in found]
    for address in addresses:
        if not is_public(address):
            raise UserError(f"{host} leads to {address}, which is not public", _WAY_OUT)
    return addresses[0]


def is_public(address: str) -> bool:
    """Whether an address is one of the open internet, also where it is wrapped in IPv6."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour or (parsed.teredo[1] if parsed.teredo else None)
        if inner is None and parsed in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if parsed not in _ASSIGNED:
            return False
    return parsed.is_global and not parsed.is_multicast


def client(*, private_networks: bool) -> httpx.AsyncClient:
    """A client for webhooks. Proxies of the environment are not used: they would resolve the name themselves.

    Args:
        private_networks: any address may be called, also over http.
    """
    transport = httpx.AsyncHTTPTransport() if private_networks else PublicTransport()
    return httpx.AsyncClient(transport=transport, follow_redirects=False, trust_env=False, timeout=10)
