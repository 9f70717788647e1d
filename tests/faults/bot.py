"""A player in a process of its own, to be paused and killed: bot.py KIND PORT. Prints `in` once it is logged in."""

import socket
import sys

from harness import Closed, TcpClient, WsClient, new_account


def run(kind, port):
    sock = socket.create_connection(("127.0.0.1", int(port)), timeout=10)
    client = WsClient(sock).upgrade() if kind == "ws" else TcpClient(sock)
    client.login(new_account())
    print("in", flush=True)
    while True:
        try:
            client.recv_packet(60)
        except TimeoutError:
            pass
        except Closed:
            return


if __name__ == "__main__":
    run(*sys.argv[1:])
