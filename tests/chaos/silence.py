"""A line to a server that can fall silent, as one does behind which a machine or a network died: nothing is closed, nothing answers."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


class Line:
    """What goes over it; Rasa's Python runs this, too.

    Attributes:
        port: of loopback, where it is reached.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._open: list[threading.Event] = []

    def serve(self) -> None:
        """Takes connections until closed."""
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._path)
                silent = threading.Event()
                self._open.append(silent)
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=_pass_on, args=(*ends, silent), daemon=True).start()

    def fall_silent(self) -> None:
        """For the connections that are open; later ones are served."""
        for silent in self._open:
            silent.set()

    def close(self) -> None:
        """No more connections."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


def _pass_on(of: socket.socket, to: socket.socket, silent: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while True:
            data = of.recv(1 << 16)
            if silent.is_set():
                return  # and the connection stays open
            if not data:
                break
            to.sendall(data)
        to.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def line(path: str) -> Iterator[Line]:
    """A line to whoever listens at a socket of the file system."""
    made = Line(path)
    serving = threading.Thread(target=made.serve)
    serving.start()
    try:
        yield made
    finally:
        made.close()
        serving.join()
