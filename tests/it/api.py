"""Has schemathesis compare a running program with its /openapi.json, for api.rs.

Reads what there is from stdin: {"base": "http://…", "ids": {"{call}": "CA…", "/trials/{id}": "…", …}, "doomed": {…}}. What
operations that delete are asked with is among `doomed`. Exits with what schemathesis says. schemathesis itself loads this file,
too, for what it cannot write.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request

import schemathesis

HERE = os.path.dirname(os.path.abspath(__file__))

# What ends something, so that nobody could ask for it afterwards.
ENDS = re.compile(r"^(delete|cancel|remove|revoke)_")


@schemathesis.serializer("application/offset+octet-stream")
def write_piece(context, value):
    return value if isinstance(value, bytes) else str(value).encode()


def known(ids, path, name):
    """The id of something that is there, by the route or the name of the parameter alone."""
    for route, value in ids.items():
        if name in route and (path.startswith(route) or route == name):
            return value
    return None


def main():
    given = json.load(sys.stdin)
    with urllib.request.urlopen(given["base"] + "/openapi.json") as answer:
        document = json.load(answer)
    openapi_is_valid(document)
    config = open(os.path.join(HERE, "schemathesis.toml"), encoding="utf-8").read()
    operations = []
    for path, methods in document["paths"].items():
        for operation in methods.values():
            ids = given["doomed"] if ENDS.match(operation["operationId"]) else given["ids"]
            bound = {}
            for parameter in operation.get("parameters", []):
                name = "{" + parameter["name"] + "}"
                value = known(ids, path, name) if parameter["in"] == "path" else None
                if value is not None:
                    # The examples of the document name nothing that is there.
                    bound[parameter["name"]] = parameter["example"] = value
            if bound:
                operations.append((operation["operationId"], bound))
    text = json.dumps(document)
    for there, example in (("RE…", "RE0123456789abcdef0123456789abcdef"), ("CA…", "CA0123456789abcdef0123456789abcdef")):
        text = text.replace(example, given["ids"].get(there, example))
    for operation, bound in operations:
        for name, value in bound.items():
            config += f'\n[dictionaries."{operation}.{name}"]\nvalues = [{json.dumps(value)}]\n'
        config += f'\n[[operations]]\ninclude-operation-id = "{operation}"\n[operations.parameters]\n'
        for name in bound:
            config += f'"path.{name}" = {{ dictionary = "{operation}.{name}", probability = 0.7 }}\n'
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name) for name in ("schemathesis.toml", "openapi.json")]
        for path, written in zip(paths, (config, text)):
            with open(path, "w", encoding="utf-8") as file:
                file.write(written)
        st = os.path.join(os.path.dirname(sys.executable), "st")
        command = [st, "--config-file", paths[0], "run", paths[1], "--url", given["base"], "--no-color"]
        ran = subprocess.run(command, cwd=folder, env={**os.environ, "SCHEMATHESIS_HOOKS": os.path.abspath(__file__)})
    sys.exit(ran.returncode)


def openapi_is_valid(document):
    from openapi_spec_validator import OpenAPIV31SpecValidator

    for error in OpenAPIV31SpecValidator(document).iter_errors():
        sys.exit(f"not OpenAPI 3.1: {list(error.absolute_path)}: {error.message[:500]}")


if __name__ == "__main__":
    main()
