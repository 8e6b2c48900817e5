# Reads config files with Skytools: one request a line, one answer a line.
import json
import sys
from configparser import RawConfigParser

import skytools


def attempt(read):
    try:
        return {"value": read()}
    except Exception as error:
        return {"error": "%s: %s" % (type(error).__name__, error)}


def read_key(config, key):
    return {
        "get": attempt(lambda: config.get(key)),
        "int": attempt(lambda: str(config.getint(key))),
        "float": attempt(lambda: repr(config.getfloat(key))),
        "boolean": attempt(lambda: config.getboolean(key)),
        "list": attempt(lambda: config.getlist(key)),
        "file": attempt(lambda: config.getfile(key)),
        "size": attempt(lambda: str(config.getbytes(key))),
    }


def read_section(request, section):
    config = skytools.Config(section, request["file"], override=dict(request["set"]))
    return {key: read_key(config, key) for key in config.options()}


def read_file(request):
    parser = RawConfigParser()
    parser.read([request["file"]])
    return {section: attempt(lambda: read_section(request, section)) for section in parser.sections()}


for line in sys.stdin:
    request = json.loads(line)
    print(json.dumps(attempt(lambda: read_file(request))), flush=True)
