"""A mail server for the tests: stores mails as files, and treats some as their addresses say."""

import argparse
import asyncio
import email
import email.policy
import json
import os
import pathlib
import ssl
import sys
import threading

from aiosmtpd.smtp import SMTP, AuthResult


class Handler:
    def __init__(self, folder):
        self.folder = folder
        self.stored = 0

    def has(self, name):
        return (self.folder / name).exists()

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refused"):
            return "550 5.1.1 nobody of that name"
        if address.startswith("busy") and not self.has("free"):
            return "451 4.3.2 come again later"
        if address.startswith("echo550"):
            return f"550 5.1.1 <{address}>: unknown"
        if address.startswith("echo451"):
            return f"451 4.2.1 <{address}>: is busy"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if envelope.rcpt_tos[0].startswith("slow"):
            (self.folder / "waiting").touch()
            while not self.has("go"):
                await asyncio.sleep(0.01)
        self.store(server, session, envelope)
        if envelope.rcpt_tos[0].startswith("last"):
            (self.folder / "locked").touch()
        return "250 OK"

    def store(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        mail = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "connection": session.peer[1],
            "encrypted": server.transport.get_extra_info("sslcontext") is not None,
            "logged_in": bool(session.authenticated),
            "headers": [[name, str(value)] for name, value in message.items()],
            "text": message.get_content().replace("\r\n", "\n"),
        }
        self.stored += 1
        unfinished = self.folder / "unfinished"
        unfinished.write_text(json.dumps(mail))
        unfinished.rename(self.folder / f"{os.getpid()}-{self.stored:04}.mail")


def end_with_the_test():
    sys.stdin.read()
    os._exit(0)


async def serve(arguments):
    handler = Handler(arguments.folder)
    context = None
    if arguments.encryption != "none":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(arguments.folder / "server.crt", arguments.folder / "server.key")
    more = {}
    if arguments.login:
        def authenticate(server, session, envelope, mechanism, data):
            given = f"{data.login.decode()}:{data.password.decode()}"
            return AuthResult(success=given == arguments.login and not handler.has("locked"), handled=False)
        more = {"authenticator": authenticate, "auth_required": True, "auth_require_tls": False}
    if arguments.encryption == "starttls":
        more["tls_context"] = context
    factory = lambda: SMTP(handler, enable_SMTPUTF8=True, **more)
    at_once = context if arguments.encryption == "tls" else None
    loop = asyncio.get_running_loop()
    server = await loop.create_server(factory, "127.0.0.1", arguments.port, ssl=at_once)
    (arguments.folder / "ready").touch()
    await server.serve_forever()


parser = argparse.ArgumentParser()
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("port", type=int)
parser.add_argument("--encryption", choices=["none", "starttls", "tls"], default="none")
parser.add_argument("--login")
threading.Thread(target=end_with_the_test, daemon=True).start()
asyncio.run(serve(parser.parse_args()))
