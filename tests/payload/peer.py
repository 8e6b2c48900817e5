# Encodes and decodes fields with Skytools: one request a line, one answer a line.
import json
import sys

import skytools

for line in sys.stdin:
    request = json.loads(line)
    try:
        if "fields" in request:
            answer = skytools.db_urlencode(dict(request["fields"]))
        else:
            fields = skytools.db_urldecode(request["text"])
            answer = [[[name, value] for name, value in fields.items()], repr(fields)]
        answer = {"value": answer}
    except ValueError as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
