#!/usr/bin/python3
"""Lists the pictures below a folder that look most like a given one.

usage: similar.py [-u URL] [-m MODEL] [-n COUNT] PICTURE FOLDER

Asks a running resnextd for an embedding of each JPEG (POST /embed?normalize=1): one number for each
channel of the network's last feature map, scaled to length 1, so that the dot product of two is the
cosine of their angle. It is printed before each path; 1 is the same picture. Embeddings are kept in the
user's cache, in $XDG_CACHE_HOME/resnextd or ~/.cache/resnextd, one file a FOLDER, so that only new and
changed pictures are sent again, and all of them if the server's weights or their precision are others.
FOLDER is only read. A key is taken from RESNEXTD_API_KEY. Needs the Python package beside it, in ../python
or installed, and no other.
"""
import argparse
import array
import base64
import concurrent.futures
import hashlib
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
from resnextd import Client, ResnextdError, find_jpegs

AT_ONCE = 4


def weights_of(client, name):
    """What embeddings of the model with this name can be compared with: those with the same text."""
    model = next(model for model in client.models() if model["name"] == name)
    return f"{model['sha256']} {model['precision']}"


def pack(values):
    """Numbers as the base64 of little-endian float32."""
    numbers = array.array("f", values)
    if sys.byteorder == "big":
        numbers.byteswap()
    return base64.b64encode(numbers.tobytes()).decode()


def unpack(text):
    """What `pack` has packed."""
    numbers = array.array("f", base64.b64decode(text))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def version_of(path):
    """Changes when the file does."""
    stat = os.stat(path)
    return [stat.st_size, stat.st_mtime_ns]


def index_of(folder):
    """The file that keeps the embeddings of a folder."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(cache):  # as its specification says
        cache = os.path.expanduser("~/.cache")
    name = hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()
    return os.path.join(cache, "resnextd", f"similar-{name[:32]}.json")


def read_index(folder, weights):
    """{picture: {"version", "embedding"}} of earlier runs with these weights."""
    try:
        with open(index_of(folder), encoding="utf-8") as file:
            index = json.load(file)
        return index["pictures"] if index["weights"] == weights else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def write_index(folder, weights, known):
    path = index_of(folder)
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump({"weights": weights, "pictures": known}, file)
    os.replace(path + ".new", path)


def index_folder(client, model, folder):
    """{picture: embedding} of the whole folder."""
    weights = weights_of(client, model)
    known, fresh = read_index(folder, weights), {}

    def one(name):
        path = os.path.join(folder, name)
        version = version_of(path)
        if known.get(name, {}).get("version") == version:
            return known[name]
        return {"version": version, "embedding": pack(client.embed(path, normalize=True, model=model).values)}

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        names = [os.path.relpath(path, folder) for path in find_jpegs(folder)]
        for name, future in [(name, pool.submit(one, name)) for name in names]:
            try:
                fresh[name] = future.result()
            except (ResnextdError, OSError) as wrong:
                print(f"similar.py: {name}: {wrong}", file=sys.stderr)
    if fresh != known:
        try:
            write_index(folder, weights, fresh)
        except OSError as wrong:
            print(f"similar.py: embeddings are not kept: {wrong}", file=sys.stderr)
    return {name: unpack(entry["embedding"]) for name, entry in fresh.items()}


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b))


def main():
    words = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    words.add_argument("-u", "--url", default=os.environ.get("RESNEXTD_URL", "http://127.0.0.1:8080"),
                       help="the server (or RESNEXTD_URL; default %(default)s)")
    words.add_argument("-m", "--model", help="which model (default: the server's)")
    words.add_argument("-n", "--count", type=int, default=10)
    words.add_argument("picture")
    words.add_argument("folder")
    given = words.parse_args()
    sys.stdout.reconfigure(errors="surrogateescape")  # names of files that are no text
    if not os.path.isdir(given.folder):
        sys.exit(f"similar.py: {given.folder} is no folder")
    try:
        with Client(given.url, api_key=os.environ.get("RESNEXTD_API_KEY")) as client:
            wanted = client.embed(given.picture, normalize=True, model=given.model)
            found = index_folder(client, wanted.model, given.folder)
    except (ResnextdError, OSError, ValueError) as wrong:
        sys.exit(f"similar.py: {given.picture}: {wrong}")
    ranked = sorted(((cosine(wanted.values, other), name) for name, other in found.items()), reverse=True)
    for score, name in ranked[:given.count]:
        print(f"{score:.4f}  {os.path.join(given.folder, name)}")


if __name__ == "__main__":
    main()
