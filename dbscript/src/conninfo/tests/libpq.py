"""Answers, line by line, what libpq makes of connection strings. Texts are sent in hexadecimal.

`parse TEXT`: what the string itself holds. `open TEXT NAME=VALUE ...`: the same with libpq's additions from
this environment, and where a connection would go; it is expected to go nowhere.
"""

import ctypes
import os
import sys

lib = ctypes.CDLL("libpq.so.5")


class Option(ctypes.Structure):
    names = ["keyword", "envvar", "compiled", "val", "label", "dispchar"]
    _fields_ = [(name, ctypes.c_char_p) for name in names] + [("dispsize", ctypes.c_int)]


Options = ctypes.POINTER(Option)
lib.PQconninfoParse.restype = Options
lib.PQconninfoParse.argtypes = [ctypes.c_char_p, ctypes.POINTER(ctypes.c_char_p)]
lib.PQconnectdb.restype = ctypes.c_void_p
lib.PQconninfo.restype = Options
lib.PQconninfo.argtypes = lib.PQfinish.argtypes = [ctypes.c_void_p]
GETTERS = ["PQerrorMessage", "PQhost", "PQport", "PQuser", "PQdb", "PQpass"]
for getter in GETTERS:
    getattr(lib, getter).restype = ctypes.c_char_p
    getattr(lib, getter).argtypes = [ctypes.c_void_p]


def values(options):
    found = {}
    at = 0
    while options[at].keyword:
        if options[at].val is not None:
            found[options[at].keyword.decode()] = options[at].val
        at += 1
    lib.PQconninfoFree(options)
    return found


def keywords():
    options = lib.PQconninfoParse(b"", None)
    at = 0
    while options[at].keyword:
        yield options[at].keyword.decode()
        at += 1


def parse(text):
    error = ctypes.c_char_p()
    options = lib.PQconninfoParse(text, ctypes.byref(error))
    return values(options) if options else error.value


def connect(text, env):
    for name in list(os.environ):
        if name.startswith("PG") or name == "HOME":
            del os.environ[name]
    os.environ.update(env)
    connection = lib.PQconnectdb(text)
    message = lib.PQerrorMessage(connection)
    if b"connection to server" in message and b"integer" not in message:
        answer = values(lib.PQconninfo(connection))
        answer.update((getter, getattr(lib, getter)(connection)) for getter in GETTERS[1:])
    else:
        answer = message
    lib.PQfinish(connection)
    return answer


def answer(line):
    verb, *words = line.split(" ")
    if verb == "keywords":
        return dict.fromkeys(keywords(), b"")
    text = bytes.fromhex(words[0])
    if verb == "parse":
        return parse(text)
    env = (word.split("=") for word in words[1:])
    return connect(text, {name: os.fsdecode(bytes.fromhex(value)) for name, value in env})


for line in sys.stdin:
    said = answer(line.rstrip("\n"))
    if isinstance(said, dict):
        print("ok", *(name + "=" + value.hex() for name, value in said.items()), flush=True)
    else:
        print("error", said.hex(), flush=True)
